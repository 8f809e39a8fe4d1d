#!/usr/bin/env bash
# top_test.sh IOTRACE PROBED_PROGRAM — iotrace top: tables of a running program, clear lines for all others, and nothing is left behind.
set -euo pipefail
iotrace=$(realpath "$1"); program=$(realpath "$2")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
cd "$dir"

# ---- what is no such process ----
expect 0 "usage: iotrace top" "$iotrace" top --help
expect 2 "usage: iotrace top" "$iotrace" top
expect 2 "usage: iotrace top" "$iotrace" top 1 2
expect 2 "PID is the number of a process" "$iotrace" top one
expect 2 "unknown option '-x'" "$iotrace" top -x 1
expect 2 "-n is a number of tables" "$iotrace" top -n 0 1
expect 2 "-d is a number of seconds" "$iotrace" top -d never 1
expect 2 "-d needs a value" "$iotrace" top -d
expect 1 "there is no process 2147483647" "$iotrace" top 2147483647
expect 1 "has no worker of corering" "$iotrace" top $$

expect 2 "--capture is slow=5ms, slow=p99, failed or stall=20ms" "$iotrace" attach --capture slow=soon 1
expect 2 "--capture needs a value" "$iotrace" attach --capture

# ---- a process ----
"$program" 100 1000000 > /dev/null & pid=$!
trap '{ kill -9 $pid; wait $pid; } 2> /dev/null || :; rm -rf "$dir"' EXIT
trace_file() { find /proc/$pid/fd -lname '*corering-trace*' 2> /dev/null | first_line; }
for _ in $(seq 200); do [ -z "$(trace_file)" ] || break; sleep 0.05; done
wishes() { od -An -tu4 -j 4100 -N 4 "$(trace_file)" | tr -d ' '; }  # how many want times
[ "$(wishes)" = 0 ] || fail "somebody wants times before anybody asked"
timeout 60 "$iotrace" top -n 3 -d 0.2 $pid > tables || fail "exit code of top: $?"
[ "$(grep -c '^WORKER  *KIND  *PER SEC' tables)" -eq 3 ] || fail "not three tables: $(cat tables)"
grep -q 'turns  *[0-9.]*[1-9][0-9.]*  ' tables || fail "no turns: $(cat tables)"
! grep -q $'\033' tables || fail "escapes where there is no terminal"
[ "$(wishes)" = 0 ] || fail "the wish for times was left behind"

# Whatever ends it: the wish is taken back. One that was killed hard is forgotten by the next.
for signal in INT TERM HUP; do
  ( trap - INT; exec "$iotrace" top -d 0.05 $pid ) > tables 2>&1 & top=$!
  for _ in $(seq 200); do [ "$(wishes)" = 0 ] || break; sleep 0.05; done
  [ "$(wishes)" = 1 ] || fail "it does not want times: $(cat tables)"
  kill -$signal $top
  code=0; wait $top || code=$?
  [ $code -eq 0 ] && [ "$(wishes)" = 0 ] || fail "after SIG$signal: exit $code, wishes $(wishes)"
done
"$iotrace" top -d 0.05 $pid | sed 1q > /dev/null || :
[ "$(wishes)" = 0 ] || fail "a reader that closed the pipe left the wish behind"

# ---- attach, with limits ----
"$iotrace" attach --for 1 --capture slow=1us -o slow.crt $pid > log 2>&1 || [ $? -eq 124 ] || fail "attach: $(cat log)"
"$iotrace" show --captured slow.crt > shown || fail "show: $?"
grep -q '[1-9][0-9]* captures\? w[a-z]* made' shown || fail "nothing was captured: $(head -n 5 shown)"
[ "$(wishes)" = 0 ] || fail "the wish for events was left behind"
expect 125 "it records no events of its own, so nothing can be captured" "$iotrace" attach --for 1 --capture failed -o none.crt $$

# ---- when the process ends, so does top ----
timeout 60 "$iotrace" top -d 0.05 $pid > tables & top=$!
for _ in $(seq 200); do [ ! -s tables ] || break; sleep 0.05; done
kill $pid
code=0; wait $top || code=$?
[ $code -eq 0 ] || fail "the process ended: exit $code"

# ---- somebody else's ----
if [ "$(id -u)" -eq 0 ]; then
  "$program" 100 1000000 > /dev/null & pid=$!
  cp "$iotrace" "$dir/iotrace"; chmod 755 "$dir" "$dir/iotrace"
  expect 1 "belongs to somebody else: run iotrace as its user, or as root" \
    setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/iotrace" top -n 1 $pid
fi
