#!/usr/bin/env bash
# guest_examples_test.sh BIN EXAMPLE — in_epoll or in_asio: both loops on one thread work, rest, and end.
set -euo pipefail
bin=$1 example=$2
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT

head -c 3000001 /dev/urandom > "$dir/data"
port=$(free_port)
case $example in
  in_epoll)
    mkfifo "$dir/lines"
    "$bin/in_epoll" "$port" < "$dir/lines" >> "$dir/log" 2>&1 & server=$!; servers+=("$server")
    exec 4> "$dir/lines"
    asked=0
    # answer: asks the outer loop, which answers "N bytes echoed in M turns", and prints that.
    answer() {
      echo >&4; asked=$((asked + 1))
      for _ in $(seq 400); do
        [ "$(grep -c 'bytes echoed' "$dir/log")" -lt "$asked" ] || { tail -n 1 "$dir/log"; return; }
        sleep 0.025
      done
      fail "the outer loop does not answer"
    }
    end() { exec 4>&-; } ;;
  in_asio)
    other=$(free_port)
    while [ "$other" = "$port" ]; do other=$(free_port); done
    start "$bin/in_asio" "$port" "$other"
    answer() { timeout 60 nc 127.0.0.1 "$other" < /dev/null || fail "the outer loop does not answer: nc ended with $?"; }
    end() { kill -TERM "$server"; } ;;
esac
wait_for_port "$port"

# The worker works, and the outer loop goes on meanwhile.
clients=()
for i in 1 2 3; do
  timeout 60 nc -N 127.0.0.1 "$port" < "$dir/data" > "$dir/back$i" & clients+=($!)
done
while kill -0 "${clients[0]}" 2> /dev/null; do answer > /dev/null; done
for pid in "${clients[@]}"; do wait "$pid" || fail "nc ended with $?"; done
for i in 1 2 3; do cmp "$dir/data" "$dir/back$i" || fail "client $i got other bytes than it sent"; done

# Nobody spins while nobody does anything, also when a connection waits.
exec 3<> "/dev/tcp/127.0.0.1/$port"
echo hello >&3
read -r -t 10 line <&3 && [ "$line" = hello ] || fail "no echo"
answer > "$dir/before"
sleep 0.5
answer > "$dir/after"
grep -q '^9000009 bytes' "$dir/after" || fail "counted otherwise: $(cat "$dir/after")"
more=$(($(awk '{ print $5 }' "$dir/after") - $(awk '{ print $5 }' "$dir/before")))
[ "$more" -le 2 ] || fail "the worker made $more turns while it had nothing to do"

# The end, with a connection that waits.
end
wait "$server" || fail "the server ended with $?: $(cat "$dir/log")"
exec 3>&-

expect 2 "usage: $example PORT" "$bin/$example"
expect 2 "usage: $example PORT" "$bin/$example" x "$port"
start "$bin/echo" "$port"
wait_for_port "$port"
expect 1 "Address already in use" "$bin/$example" "$port" ${other:+"$other"}
[ "$example" != in_epoll ] || expect 1 "neither a terminal nor a pipe" bash -c "exec '$bin/in_epoll' $(free_port) < '$dir/data'"
echo "both loops keep their promises"
