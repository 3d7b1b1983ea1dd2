#!/usr/bin/env bash
# TLS, and basic authentication if asked for, in front of a server: nginx with a certificate of its own making.
#   tls-proxy.sh start --home DIR --upstream URL [--user NAME --password-file FILE] [--largest-body SIZE] [--certificate FILE --key FILE]
#                                                                              prints its URL and the CA's file
#   tls-proxy.sh stop --home DIR
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=${1:-}
shift || true
home='' upstream='' user='' passwordfile='' largest=64m certificate='' key=''
while [ $# -gt 0 ]; do
	case $1 in
	--home) home=$2 ;;
	--upstream) upstream=$2 ;;
	--user) user=$2 ;;
	--password-file) passwordfile=$2 ;;
	--largest-body) largest=$2 ;;
	--certificate) certificate=$2 ;;
	--key) key=$2 ;;
	*) echo "unknown option $1" >&2 && exit 2 ;;
	esac
	shift 2
done
[ -n "$home" ] || { echo "usage: tls-proxy.sh start|stop --home DIR" >&2 && exit 2; }

case $command in
start)
	PATH=$PATH:/usr/sbin
	need nginx nginx-light
	need openssl openssl
	need curl curl
	mkdir -p "$home"
	home=$(cd "$home" && pwd)
	port=$(free_port)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=trtperf-test-ca \
		-keyout "$home/ca.key" -out "$home/ca.pem" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$home/server.key" \
		-out "$home/server.csr" 2>/dev/null
	openssl x509 -req -in "$home/server.csr" -CA "$home/ca.pem" -CAkey "$home/ca.key" -CAcreateserial -days 2 -out "$home/server.pem" \
		-extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") 2>/dev/null
	if [ -n "$certificate" ]; then
		cp "$certificate" "$home/server.pem"
		cp "$key" "$home/server.key"
	fi
	auth=''
	if [ -n "$user" ]; then
		echo "$user:$(openssl passwd -apr1 -stdin <"$passwordfile")" >"$home/users"
		auth="auth_basic trtperf; auth_basic_user_file $home/users;"
	fi
	cat >"$home/nginx.conf" <<CONF
daemon off;
pid $home/nginx.pid;
error_log $home/log;
events {}
http {
  access_log off;
  client_max_body_size $largest;
  client_body_temp_path $home/body;
  proxy_temp_path $home/proxy;
  fastcgi_temp_path $home/fastcgi;
  uwsgi_temp_path $home/uwsgi;
  scgi_temp_path $home/scgi;
  server {
    listen 127.0.0.1:$port ssl;
    ssl_certificate $home/server.pem;
    ssl_certificate_key $home/server.key;
    $auth
    location / { proxy_pass $upstream; proxy_set_header Authorization ""; }
  }
}
CONF
	# nginx's workers drop root and must still reach the users' file.
	grep -q '^user' "$home/nginx.conf" || sed -i "1i user $(id -un);" "$home/nginx.conf"
	setsid nginx -c "$home/nginx.conf" -p "$home" </dev/null >>"$home/log" 2>&1 &
	echo $! >"$home/pid"
	wait_for "https://127.0.0.1:$port/" "$home/pid" "$home/log" --insecure
	echo "https://127.0.0.1:$port"
	echo "$home/ca.pem"
	;;
stop)
	stop "$home/pid"
	;;
*)
	echo "usage: tls-proxy.sh start|stop --home DIR" >&2
	exit 2
	;;
esac
