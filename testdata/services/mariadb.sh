#!/usr/bin/env bash
# A real MariaDB server for tests, on the loopback, from Debian's mariadb-server.
#   mariadb.sh start --home DIR [--port N] [--option KEY=VALUE]…   prints 127.0.0.1:PORT when it answers
#   mariadb.sh stop --home DIR    ends it; kill --home DIR does so as kill -9 would
# Everything of the server is under DIR; one that was stopped or killed starts again with its data. root has no password, over TCP from
# 127.0.0.1 and over the socket DIR/s.sock. An option is one of mariadbd's: --option max_connections=5.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/sbin

command=${1:-}
shift || true
home='' port='' options=()
while [ $# -gt 0 ]; do
	case $1 in
	--home) home=$2 ;;
	--port) port=$2 ;;
	--option) options+=("--$2") ;;
	*) echo "unknown option $1" >&2 && exit 2 ;;
	esac
	shift 2
done
[ -n "$home" ] || { echo "usage: mariadb.sh start|stop|kill --home DIR" >&2 && exit 2; }
pidfile=$home/pid

case $command in
start)
	# The package must not start a server of its own.
	RUNLEVEL=1 need mariadbd mariadb-server
	need setsid util-linux
	mkdir -p "$home"
	home=$(cd "$home" && pwd)
	pidfile=$home/pid
	if alive "$pidfile"; then
		cat "$home/address"
		exit
	fi
	# It runs as the caller, so that no directory above its home need be open to another user.
	user=$(id -un)
	if [ ! -f "$home/complete" ]; then
		rm -rf "$home/data"
		mariadb-install-db --no-defaults --user="$user" --datadir="$home/data" --tmpdir="$home" --auth-root-authentication-method=normal --skip-test-db \
			>"$home/install.log" 2>&1 || { cat "$home/install.log" >&2 && exit 1; }
		touch "$home/complete"
	fi
	port=${port:-$(free_port)}
	rm -f "$home/s.sock"
	# The server must hold none of the caller's streams, or a caller that reads them to their end would wait for it.
	setsid mariadbd --no-defaults --user="$user" --datadir="$home/data" --tmpdir="$home" --socket="$home/s.sock" --pid-file="$home/mariadbd.pid" \
		--bind-address=127.0.0.1 --port="$port" ${options[@]+"${options[@]}"} </dev/null >"$home/log" 2>&1 &
	echo $! >"$pidfile"
	echo "127.0.0.1:$port" >"$home/address"
	for _ in $(seq 300); do
		if mariadb --no-defaults -h 127.0.0.1 -P "$port" -u root -e 'SELECT 1' >/dev/null 2>&1; then
			cat "$home/address"
			exit
		fi
		alive "$pidfile" || break
		sleep 0.1
	done
	echo "no answer from 127.0.0.1:$port; the end of $home/log:" >&2
	tail -n 20 "$home/log" >&2
	exit 1
	;;
stop)
	stop "$pidfile"
	;;
kill)
	if alive "$pidfile"; then
		pid=$(cat "$pidfile")
		kill -9 "$pid"
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	fi
	rm -f "$pidfile"
	;;
*)
	echo "usage: mariadb.sh start|stop|kill --home DIR" >&2
	exit 2
	;;
esac
