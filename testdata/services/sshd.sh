#!/usr/bin/env bash
# A real sshd for tests, on the loopback, with a user and a HOME of its own. Needs root.
#   sshd.sh start --home DIR [--env NAME=VALUE]…   prints HOST:PORT, the user's name, the file of the user's key and a known_hosts file, a line each
#   sshd.sh stop --home DIR      also removes the user
#   sshd.sh cut --home DIR       kills the connections that are open, and lets new ones in
#   sshd.sh rekey --home DIR     gives the server another host key
#   sshd.sh connections --home DIR   prints how many connections were accepted so far
# The user is trtperf<number>, so that tests at the same time have one each; HOME is DIR/user.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=${1:-}
shift || true
home='' environment=()
while [ $# -gt 0 ]; do
	case $1 in
	--home) home=$2 ;;
	--env) environment+=("$2") ;;
	*) echo "unknown option $1" >&2 && exit 2 ;;
	esac
	shift 2
done
[ -n "$home" ] || { echo "usage: sshd.sh start|stop|cut|rekey|connections --home DIR" >&2 && exit 2; }

listen() {
	# Privilege separation wants this directory, whatever the configuration says.
	mkdir -p /run/sshd
	setsid /usr/sbin/sshd -D -f "$home/sshd_config" -E "$home/log" </dev/null >/dev/null 2>&1 &
	echo $! >"$home/pid"
	for _ in $(seq 100); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$(cat "$home/port")") 2>/dev/null; then
			return
		fi
		alive "$home/pid" || break
		sleep 0.1
	done
	echo "sshd does not listen; the end of $home/log:" >&2
	tail -n 20 "$home/log" >&2
	exit 1
}

case $command in
start)
	PATH=$PATH:/usr/sbin
	need sshd openssh-server
	need ssh openssh-client
	need useradd passwd
	mkdir -p "$home"
	home=$(cd "$home" && pwd)
	# sshd becomes the user before it reads the user's keys, so the user must get through.
	for ((d = ${#home}; d > 0; d--)); do
		[ "${home:d:1}" != / ] || chmod o+x "${home:0:d}"
	done
	chmod 755 "$home"
	user=trtperf$RANDOM$RANDOM
	user=${user:0:16}
	useradd --password '*' --no-create-home --home-dir "$home/user" --shell /bin/bash "$user"
	echo "$user" >"$home/name"
	mkdir -p "$home/user/.ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$home/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$home/key"
	cp "$home/key.pub" "$home/user/.ssh/authorized_keys"
	chown -R "$user" "$home/user"
	port=$(free_port)
	echo "$port" >"$home/port"
	echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$home/host_key.pub")" >"$home/known_hosts"
	cat >"$home/sshd_config" <<CONF
Port $port
ListenAddress 127.0.0.1
HostKey $home/host_key
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
AuthorizedKeysFile .ssh/authorized_keys
AllowUsers $user
LogLevel VERBOSE
UseDNS no
Subsystem sftp internal-sftp
CONF
	# One line: of several the first counts.
	[ ${#environment[@]} -eq 0 ] || echo "SetEnv$(printf ' "%s"' "${environment[@]}")" >>"$home/sshd_config"
	listen
	printf '%s\n' "127.0.0.1:$port" "$user" "$home/key" "$home/known_hosts"
	;;
cut)
	# The children of the listening process are the connections.
	pkill -9 -P "$(cat "$home/pid")" || true
	pkill -9 -u "$(cat "$home/name")" sshd || true
	;;
rekey)
	stop "$home/pid"
	rm -f "$home/host_key" "$home/host_key.pub"
	ssh-keygen -q -t ed25519 -N '' -f "$home/host_key"
	listen
	;;
connections)
	grep -c 'Accepted publickey' "$home/log" || true
	;;
stop)
	[ ! -f "$home/name" ] || pkill -9 -u "$(cat "$home/name")" || true
	stop "$home/pid"
	if [ -f "$home/name" ]; then
		for _ in $(seq 50); do
			userdel "$(cat "$home/name")" 2>/dev/null && break
			id "$(cat "$home/name")" >/dev/null 2>&1 || break
			sleep 0.1
		done
	fi
	;;
*)
	echo "usage: sshd.sh start|stop|cut|rekey|connections --home DIR" >&2
	exit 2
	;;
esac
