#!/usr/bin/env bash
# examples_test.sh BIN — the examples of structured concurrency, as their users run them.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
fail() { echo "$1"; exit 1; }
# expect STATUS TEXT COMMAND...: its exit status, and TEXT somewhere in its output.
expect() {
  local status=$1 text=$2 got=0; shift 2
  timeout 30 "$@" > "$dir/out" 2>&1 < /dev/null || got=$?
  [ "$got" -eq "$status" ] && grep -qF -- "$text" "$dir/out" || fail "$*: status $got, said: $(cat "$dir/out")"
}
# Below the range that connecting clients are given: their ports stay taken for a minute.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port"
}
wait_for_port() {
  for _ in $(seq 200); do
    (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.05
  done
  fail "nothing listens on port $1: $(cat "$dir/log")"
}

# pipeline: what wc says, at awkward sizes.
for size in 0 1 262144 5000001; do
  head -c "$size" /dev/urandom > "$dir/file"
  read -r lines bytes < <(wc -lc < "$dir/file")
  expect 0 "$lines $bytes $dir/file" "$bin/pipeline" "$dir/file"
done
expect 1 "No such file or directory" "$bin/pipeline" "$dir/missing"
expect 1 "Is a directory" "$bin/pipeline" "$dir"
expect 2 "usage: pipeline FILE" "$bin/pipeline"

# graceful_server: echoes; shows its tasks; told to stop it refuses, finishes what it has, and frees its port.
port=$(free_port)
"$bin/graceful_server" "$port" 2> "$dir/log" &
server=$!
wait_for_port "$port"
exec 3<> "/dev/tcp/127.0.0.1/$port"
echo hello >&3
read -r -t 10 line <&3 && [ "$line" = hello ] || fail "no echo"
kill -USR1 "$server"
for _ in $(seq 100); do grep -q 'accept (fd' "$dir/log" && break; sleep 0.05; done
grep -q 'accept (fd' "$dir/log" || fail "no dump of the tasks: $(cat "$dir/log")"
grep -q 'waits for recv (fd .* deadline in' "$dir/log" || fail "the connection is not in the dump: $(cat "$dir/log")"
kill -TERM "$server"
sleep 0.3
kill -0 "$server" || fail "it did not wait for its connection"
echo again >&3
read -r -t 10 line <&3 && [ "$line" = again ] || fail "the connection it had was cut"
exec 3>&-
wait "$server" || fail "the server ended with $?: $(cat "$dir/log")"
server=
"$bin/graceful_server" "$port" 2>> "$dir/log" &
server=$!
wait_for_port "$port"
expect 1 "cannot listen" "$bin/graceful_server" "$port"
expect 2 "usage: graceful_server PORT" "$bin/graceful_server" 65536

# timeout and race: against that server, which says nothing by itself; and against nobody.
expect 1 "the deadline of 300 ms set at" "$bin/timeout" 127.0.0.1 "$port" 0.3
expect 0 "127.0.0.1" "$bin/race" 127.0.0.1 "$port"
kill -INT "$server"
wait "$server" || fail "the server ended with $?: $(cat "$dir/log")"
server=
expect 1 "Connection refused" "$bin/timeout" 127.0.0.1 "$port" 5
expect 1 "Connection refused" "$bin/race" 127.0.0.1 "$port"
expect 1 "timeout: " "$bin/timeout" no-such-name.invalid 80 5
expect 1 "race: " "$bin/race" no-such-name.invalid 80
for bad in "" x -1 0 1e9 3x nan; do expect 2 "usage: timeout HOST PORT SECONDS" "$bin/timeout" 127.0.0.1 "$port" "$bad"; done
expect 2 "usage: race HOST PORT" "$bin/race" 127.0.0.1
echo "4 programs keep their promises"
