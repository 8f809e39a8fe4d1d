#!/usr/bin/env bash
# net_examples_test.sh BIN — tests the example servers with curl, nc and socat.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
for tool in curl nc socat python3; do
  command -v $tool > /dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
head -c 3000000 /dev/urandom > "$dir/data"

# With echo, nc and socat send megabytes and get them back.
port=$(free_port)
start "$bin/echo" "$port"; echo_server=$server
wait_for_port "$port"
timeout 60 nc -N 127.0.0.1 "$port" < "$dir/data" > "$dir/back" || fail "nc ended with $?"
cmp "$dir/data" "$dir/back" || fail "nc got other bytes than it sent"
timeout 60 socat -t 10 - "TCP4:127.0.0.1:$port" < "$dir/data" > "$dir/back" || fail "socat ended with $?"
cmp "$dir/data" "$dir/back" || fail "socat got other bytes than it sent"

# tcp_proxy runs in front of echo, which it finds by name, and in front of a web server.
front=$(free_port)
start "$bin/tcp_proxy" "127.0.0.1:$front" "localhost:$port"; proxy=$server
wait_for_port "$front"
for _ in 1 2 3; do
  timeout 60 nc -N 127.0.0.1 "$front" < "$dir/data" > "$dir/back" || fail "nc through the proxy ended with $?"
  cmp "$dir/data" "$dir/back" || fail "other bytes through the proxy"
done
stop "$proxy" INT
web=$(free_port)
start python3 -m http.server --bind 127.0.0.1 --directory "$dir" "$web"
wait_for_port "$web"
start "$bin/tcp_proxy" "[::1]:$front" "127.0.0.1:$web"; proxy=$server
wait_for "listening on [::1]:$front"
for i in $(seq 8); do curl -sS --max-time 60 -o "$dir/got$i" "http://[::1]:$front/data" & curls+=($!); done
for pid in "${curls[@]}"; do wait "$pid" || fail "curl ended with $?"; done
for i in $(seq 8); do
  [ "$(sha256sum < "$dir/got$i")" = "$(sha256sum < "$dir/data")" ] || fail "curl $i got other bytes"
done
[ "$(curl -sS --max-time 60 -o /dev/null -w '%{http_code}' "http://[::1]:$front/none")" = 404 ] || fail "no 404"
# A client that resets its connection harms nobody.
for _ in $(seq 20); do
  python3 -c '
import socket, struct, sys
s = socket.create_connection(("::1", int(sys.argv[1])))
s.send(b"GET /data HTTP/1.0\r\n\r\n")
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()' "$front"
done
[ "$(curl -sS --max-time 60 -o /dev/null -w '%{http_code}' "http://[::1]:$front/data")" = 200 ] || fail "the proxy did not survive resets"
stop "$proxy" TERM
stop "$echo_server" INT

# If a target does not answer, or does not have an address, the client's connection is closed, and the log says why.
start "$bin/tcp_proxy" "127.0.0.1:$front" "no-such-name.invalid:80"; proxy=$server
wait_for_port "$front"
timeout 60 nc 127.0.0.1 "$front" < /dev/null || true
wait_for "no-such-name.invalid: "
stop "$proxy" INT

# udp_echo.
udp=$(free_port)
start "$bin/udp_echo" "127.0.0.1:$udp"; udp_server=$server
wait_for "udp_echo: listening on 127.0.0.1:$udp"
for size in 1 100 1472 60000; do
  head -c $size "$dir/data" > "$dir/datagram"
  timeout 60 socat -b 65000 -T 1 -t 1 - "UDP4:127.0.0.1:$udp" < "$dir/datagram" > "$dir/back" || fail "socat, UDP: $?"
  cmp "$dir/datagram" "$dir/back" || fail "a datagram of $size bytes came back otherwise"
done
stop "$udp_server" TERM

# These calls have wrong arguments.
expect 2 "usage: tcp_proxy" "$bin/tcp_proxy"
expect 2 "port is not a number" "$bin/tcp_proxy" 127.0.0.1:99999 localhost:80
expect 2 "write an address as 127.0.0.1:80" "$bin/tcp_proxy" 127.0.0.1 localhost:80
expect 2 "not an IPv4 or IPv6 number" "$bin/tcp_proxy" localhost:80 localhost:80
expect 2 "write an address as 127.0.0.1:80" "$bin/tcp_proxy" 127.0.0.1:80 localhost
expect 2 "usage: udp_echo" "$bin/udp_echo"
expect 2 "port is not a number" "$bin/udp_echo" 127.0.0.1:x
start "$bin/echo" "$port"; holder=$server
wait_for_port "$port"
expect 1 "Address already in use" "$bin/tcp_proxy" "127.0.0.1:$port" localhost:80
stop "$holder" INT
echo "3 servers keep their promises"
