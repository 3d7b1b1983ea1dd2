# Shell functions of the service scripts. Sourced, not run.
# shellcheck shell=bash

# here is the directory of the scripts, cache where what they download is kept.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TRTPERF_CACHE:-$here/../../.cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# install_packages PACKAGE…: installs Debian packages. Several test programs may want some at the same time, and apt-get does not wait for another one.
install_packages() {
	(
		flock 8
		apt-get update -qq 8>&-
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" 8>&-
	) 8>"$cache/apt.lock" >&2
}

# need PROGRAM PACKAGE…: installs the Debian packages if the program is missing, or says which are needed.
need() {
	local program=$1
	shift
	command -v "$program" >/dev/null && return
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		install_packages "$@"
		command -v "$program" >/dev/null && return
	fi
	echo "$program is missing: install it (Debian packages: $*)" >&2
	exit 1
}

# venv NAME REQUIREMENT…: makes a virtual environment with pinned Python packages, once, and prints the directory of its programs.
venv() {
	local dir=$cache/$1
	shift
	# Several test programs may run this at the same time.
	exec 9>"$dir.lock"
	flock 9
	if [ "$(cat "$dir/wanted" 2>/dev/null)" != "$*" ] || ! "$dir/bin/python" -c '' 2>/dev/null; then
		rm -rf "$dir"
		if ! python3 -m venv "$dir" 2>/dev/null; then
			rm -rf "$dir"
			if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
				install_packages python3-venv
				python3 -m venv "$dir"
			else
				echo "python3 cannot make a virtual environment: install python3 with its venv module (Debian: python3-venv)" >&2
				exit 1
			fi
		fi
		"$dir/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
		echo "$*" >"$dir/wanted"
	fi
	exec 9>&-
	echo "$dir/bin"
}

# free_port prints a TCP port that nothing listens on.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
}

# alive PIDFILE: whether the process of a pid file runs.
alive() {
	[ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null
}

# wait_for URL PIDFILE LOG [CURL-OPTION…]: waits until the URL answers, as long as the process runs.
wait_for() {
	local url=$1 pidfile=$2 log=$3
	shift 3
	for _ in $(seq 300); do
		if curl --silent --output /dev/null --max-time 2 "$@" "$url"; then
			return
		fi
		if ! alive "$pidfile"; then
			break
		fi
		sleep 0.2
	done
	echo "no answer from $url; the end of $log:" >&2
	tail -n 20 "$log" >&2
	exit 1
}

# stop PIDFILE: ends the process of a pid file and waits for its end.
stop() {
	if alive "$1"; then
		local pid
		pid=$(cat "$1")
		kill "$pid"
		for _ in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$pid" 2>/dev/null || true
	fi
	rm -f "$1"
}
