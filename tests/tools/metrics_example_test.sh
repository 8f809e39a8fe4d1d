#!/usr/bin/env bash
# metrics_example_test.sh BIN — asks the example for its numbers, as Prometheus does, without and with times.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
command -v curl > /dev/null || { echo "skipped: curl is not installed"; exit 77; }

ask() {
  port=$(free_port)
  start env CORERING_TRACE="$1" "$bin/metrics" "$port"
  wait_for_port "$port"
  curl -sS --max-time 60 -D "$dir/head" "http://127.0.0.1:$port/metrics" > "$dir/got" || fail "curl ended with $?"
  kill "$server"
  wait "$server" || fail "metrics ended with $?"
}

ask ""
grep -q '^Content-Type: text/plain; version=0.0.4' "$dir/head" || fail "the wrong type: $(cat "$dir/head")"
[ "$(grep -c '^corering_turns_total{' "$dir/got")" = 2 ] || fail "not two workers: $(cat "$dir/got")"
grep -Eq '^corering_posts_total\{worker="[^"]*",kernel="[^"]*"\} [1-9]' "$dir/got" || fail "no posts: $(cat "$dir/got")"
grep -Eq '^corering_operations_total\{.*operation="recv"\} [1-9]' "$dir/got" || fail "no operations: $(cat "$dir/got")"
grep -Eq '^corering_operation_errors_total\{.*operation="recv"\} 0' "$dir/got" || fail "no errors: $(cat "$dir/got")"
grep -q '^corering_operation_seconds' "$dir/got" && fail "there are times, but nobody asked for them"
ask hist,file=memory
grep -Eq '^corering_operation_seconds\{.*operation="recv",quantile="0.99"\} [0-9.]+$' "$dir/got" || fail "no times: $(cat "$dir/got")"
grep -Eq '^corering_turn_seconds_count\{.*\} [1-9]' "$dir/got" || fail "no turns: $(cat "$dir/got")"
