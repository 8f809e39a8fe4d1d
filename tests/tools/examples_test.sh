#!/usr/bin/env bash
# examples_test.sh BIN — the examples of structured concurrency, as their users run them.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT

# pipeline prints the same as wc, at awkward sizes.
for size in 0 1 262144 5000001; do
  head -c "$size" /dev/urandom > "$dir/file"
  wc -lc < "$dir/file" > "$dir/counted"
  read -r lines bytes < "$dir/counted"
  expect 0 "$lines $bytes $dir/file" "$bin/pipeline" "$dir/file"
done
expect 1 "No such file or directory" "$bin/pipeline" "$dir/missing"
expect 1 "Is a directory" "$bin/pipeline" "$dir"
expect 2 "usage: pipeline FILE" "$bin/pipeline"

# graceful_server echoes and shows its tasks. When it is told to stop, it refuses new connections, finishes those that
# it has, and frees its port.
port=$(free_port)
start "$bin/graceful_server" "$port"
wait_for_port "$port"
exec 3<> "/dev/tcp/127.0.0.1/$port"
echo hello >&3
read -r -t 10 line <&3 && [ "$line" = hello ] || fail "no echo"
kill -USR1 "$server"
for _ in $(seq 100); do grep -q 'accept (fd' "$dir/log" && break; sleep 0.05; done
grep -q 'accept (fd' "$dir/log" || fail "no dump of the tasks: $(cat "$dir/log")"
grep -q 'waits for recv (fd .* deadline in' "$dir/log" || fail "the connection is not in the dump: $(cat "$dir/log")"
kill -TERM "$server"
wait_for_no_port "$port"
kill -0 "$server" || fail "it did not wait for its connection"
echo again >&3
read -r -t 10 line <&3 && [ "$line" = again ] || fail "the connection it had was cut"
exec 3>&-
wait "$server" || fail "the server ended with $?: $(cat "$dir/log")"
start "$bin/graceful_server" "$port"
wait_for_port "$port"
expect 1 "cannot listen" "$bin/graceful_server" "$port"
expect 2 "usage: graceful_server PORT" "$bin/graceful_server" 65536

# timeout and race connect to that server, which says nothing by itself, and to a port where nobody listens.
expect 1 "the deadline of 300 ms set at" "$bin/timeout" 127.0.0.1 "$port" 0.3
expect 0 "127.0.0.1" "$bin/race" 127.0.0.1 "$port"
kill -INT "$server"
wait "$server" || fail "the server ended with $?: $(cat "$dir/log")"
expect 1 "Connection refused" "$bin/timeout" 127.0.0.1 "$port" 5
expect 1 "Connection refused" "$bin/race" 127.0.0.1 "$port"
expect 1 "timeout: " "$bin/timeout" no-such-name.invalid 80 5
expect 1 "race: " "$bin/race" no-such-name.invalid 80
for bad in "" x -1 0 1e9 3x nan; do expect 2 "usage: timeout HOST PORT SECONDS" "$bin/timeout" 127.0.0.1 "$port" "$bad"; done
expect 2 "usage: race HOST PORT" "$bin/race" 127.0.0.1
# crash_test loses nothing that was promised, whatever the seed.
expect 0 "200 crashes, and every promise was kept" "$bin/crash_test" 200
expect 2 "usage: crash_test SEEDS" "$bin/crash_test"
echo "5 programs keep their promises"
