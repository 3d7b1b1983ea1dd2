#!/bin/sh
# Describes this machine: system.sh DIRECTORY ROLE[@NODE]... writes DIRECTORY/trtperf-system.ROLE.json for each role on the node of that
# index (SLURM_NODEID, 0 without Slurm). What is unknown is left out. It runs where trtperf is not installed and never fails a test.
dir=$1
shift
node=${SLURM_NODEID:-0}

# text NAME VALUE, number NAME VALUE: a member of the object, if there is a value.
text() {
	value=$(printf '%s' "$2" | tr '\t\r\n' '   ' | tr -d '\000-\037\177' | sed 's/\\/\\\\/g; s/"/\\"/g; s/^ *//; s/ *$//')
	[ -z "$value" ] || members="$members${members:+,
  }\"$1\": \"$value\""
}
number() {
	case $2 in
	'' | *[!0-9]* | 0) ;;
	*) members="$members${members:+,
  }\"$1\": $2" ;;
	esac
}
# column N LINES: a column of nvidia-smi's first line; "[N/A]" and its like are no values.
column() {
	printf '%s\n' "$2" | sed -n '1p' | cut -d, -f"$1" | sed 's/^ *//; s/ *$//; /^\[/d; /[Nn]\/[Aa]/d'
}
# query FIELDS: what nvidia-smi says of each GPU; nothing if it fails, since it prints its complaints in the same place.
query() {
	lines=$(nvidia-smi --query-gpu="$1" --format=csv,noheader,nounits 2>/dev/null) && printf '%s' "$lines"
}

members=
if command -v nvidia-smi >/dev/null 2>&1; then
	gpus=$(query name,driver_version)
	if [ -n "$gpus" ]; then
		text gpu "$(column 1 "$gpus")"
		number gpu_count "$(printf '%s\n' "$gpus" | wc -l | tr -d ' ')"
		text driver "$(column 2 "$gpus")"
		text cuda "$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9][0-9.]*\).*/\1/p' | sed -n '1p')"
		# The clocks that are set; those of this moment are an idle machine's.
		clocks=$(query clocks.applications.graphics,clocks.applications.memory)
		number sm_clock_mhz "$(column 1 "$clocks")"
		number mem_clock_mhz "$(column 2 "$clocks")"
	fi
fi
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | sed -n '1p')
if [ -z "$cpu" ] && command -v lscpu >/dev/null 2>&1; then
	cpu=$(lscpu 2>/dev/null | sed -n 's/^Model name: *//p' | sed -n '1p')
fi
text cpu "$cpu"
# shellcheck disable=SC1091 # the machine's own
text os "$(. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME:-}")"
text host "$(uname -n)"

for role in "$@"; do
	case $role in
	*@"$node") role=${role%@*} ;;
	*@*) continue ;;
	esac
	file=$dir/trtperf-system.$role.json
	printf '{\n  %s\n}\n' "$members" >"$file.tmp" && mv "$file.tmp" "$file"
done
