#!/usr/bin/env bash
# A real OpenSearch node for tests, on the loopback, from Maven Central's jars.
#   opensearch.sh start --home DIR [--port N] [--heap SIZE] [--setting KEY=VALUE]…   prints its URL when it answers
#   opensearch.sh stop --home DIR
#   opensearch.sh kill --home DIR      as a crash does: nothing is flushed
# Everything of the node is under DIR; a node that was stopped starts again with its data. The jars are kept under .cache.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=${1:-}
shift || true
home='' port='' heap=512m settings=()
while [ $# -gt 0 ]; do
	case $1 in
	--home) home=$2 ;;
	--port) port=$2 ;;
	--heap) heap=$2 ;;
	--setting) settings+=("$2") ;;
	*) echo "unknown option $1" >&2 && exit 2 ;;
	esac
	shift 2
done
[ -n "$home" ] || { echo "usage: opensearch.sh start|stop|kill --home DIR" >&2 && exit 2; }
pidfile=$home/pid

case $command in
start)
	need javac openjdk-17-jdk-headless # a Java source file is run as it stands
	need mvn maven
	need curl curl
	need setsid util-linux
	mkdir -p "$home"
	home=$(cd "$home" && pwd)
	pidfile=$home/pid
	if alive "$pidfile"; then
		cat "$home/url"
		exit
	fi
	lib=$cache/opensearch/2.19.5
	(
		flock 9
		if [ ! -f "$lib/complete" ]; then
			rm -rf "$lib"
			mkdir -p "$lib"
			mvn -q -B -Dstyle.color=never -f "$here/opensearch/pom.xml" dependency:copy-dependencies -DoutputDirectory="$lib" >&2
			touch "$lib/complete"
		fi
	) 9>"$cache/opensearch.lock"
	port=${port:-$(free_port)}
	# The node must hold none of the caller's streams, or a caller that reads them to their end would wait for it.
	setsid java -Xms"$heap" -Xmx"$heap" -Dlog4j2.disable.jmx=true -Dlog4j2.configurationFile="$here/opensearch/log4j2.properties" \
		-cp "$lib/*" "$here/opensearch/TrtperfNode.java" "$home" "$port" ${settings[@]+"${settings[@]}"} \
		</dev/null >"$home/log" 2>&1 9>&- &
	echo $! >"$pidfile"
	echo "http://127.0.0.1:$port" >"$home/url"
	wait_for "http://127.0.0.1:$port" "$pidfile" "$home/log" --fail
	cat "$home/url"
	;;
stop)
	stop "$pidfile"
	;;
kill)
	kill -9 "$(cat "$pidfile")"
	rm -f "$pidfile"
	;;
*)
	echo "usage: opensearch.sh start|stop|kill --home DIR" >&2
	exit 2
	;;
esac
