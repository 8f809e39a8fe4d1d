#!/usr/bin/env bash
# key_value_test.sh BIN — the store keeps its values on a real disk; and its crash test finds the three bugs that are planted.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT

expect 0 "b 2" "$bin/key_value" "$dir" b 2
expect 0 "a the first" "$bin/key_value" "$dir" a "the first"
expect 0 "b 3" "$bin/key_value" "$dir" b 3
[ "$("$bin/key_value" "$dir")" = "a the first
b 3" ] || fail "the values are not all there"
printf 'half a li' >> "$dir/log"
expect 0 "b 3" "$bin/key_value" "$dir" b
expect 1 "c: no such key" "$bin/key_value" "$dir" c
expect 1 "Invalid argument" "$bin/key_value" "$dir" "two words" x
expect 1 "No such file or directory" "$bin/key_value" "$dir/none" a 1
expect 2 "usage: key_value DIRECTORY" "$bin/key_value"

# Two thousand seeds find nothing in the store; a dozen or two find each bug, make it small, and find it again.
expect 0 "every promise was kept" "$bin/key_value_crash_test"
for bug in late-sync no-directory-sync no-checksum; do
  expect 1 "does not have the value that was promised" "$bin/key_value_crash_test" "$bug"
  seed=$(sed -n 's/^seed \([0-9]*\) failed.*/\1/p' "$dir/out")
  [ "$seed" -le 50 ] || fail "$bug is found by seed $seed only"
  events=$(sed '1,/participant K/d' "$dir/out" | grep -c .)
  [ "$events" -le 20 ] || fail "the diagram of $bug has $events events"
  grep -q "the power goes off$" "$dir/out" || fail "the diagram of $bug does not show the crash"
  mv "$dir/out" "$dir/first"
  expect 1 "seed $seed failed" "$bin/key_value_crash_test" "$bug" "--seed=$seed"
  cmp -s "$dir/first" "$dir/out" || fail "the seed $seed of $bug does not repeat itself"
  [ -n "${seeds:-}" ] && seeds+=", "
  seeds=${seeds:-}"$bug: seed $seed"
done
expect 2 "usage: key_value_crash_test" "$bin/key_value_crash_test" no-such-bug
echo "the three bugs are found ($seeds)"
