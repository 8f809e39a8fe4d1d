#!/bin/bash
# trace_file_test.sh — a program that records itself, and what iotrace says about its trace file.
# Arguments: iotrace, the folder of the programs.
set -u
iotrace=$1 programs=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
source "$(dirname "$0")/support.sh"

head -c 100000 /dev/zero > "$dir/file"
CORERING_TRACE=full,file=$dir/t.crt "$programs/read_switch" "$dir/file" > /dev/null 2> "$dir/log" || fail "read_switch"
[ -s "$dir/t.crt" ] || fail "no trace file was written"

expect 0 'read(' "$iotrace" show "$dir/t.crt" --kind read
[ "$(grep -c . "$dir/out")" -eq "$(grep -c 'read(' "$dir/out")" ] || fail "show --kind=read prints others: $(cat "$dir/out")"
expect 0 'read_switch.cpp:' "$iotrace" show "$dir/t.crt" --kind=read
expect 0 'read: ' "$iotrace" stat "$dir/t.crt"
expect 0 ' total ' "$iotrace" stat "$dir/t.crt"
id=$("$iotrace" show "$dir/t.crt" --kind read | first_line | sed 's/.*#\([0-9]*\).*/\1/')
expect 0 "read $id" "$iotrace" flow "$id" "$dir/t.crt"
grep -q '^Switch to Worker: ' "$dir/out" || fail "flow: $(cat "$dir/out")"
expect 0 'sequenceDiagram' "$iotrace" flow "$id" "$dir/t.crt" --format mermaid
expect 0 "#$id " "$iotrace" why "$id" "$dir/t.crt"
expect 0 '#' "$iotrace" slowest 1 "$dir/t.crt"
expect 0 'ok: max of read' "$iotrace" check "$dir/t.crt" --max 'read<100s'
expect 1 'FAILED: p99 of read' "$iotrace" check "$dir/t.crt" --p99='read<1ns'
expect 0 'no difference' "$iotrace" diff "$dir/t.crt" "$dir/t.crt"
for view in html perfetto chrome; do
  expect 0 "$dir/t.crt." "$iotrace" $view "$dir/t.crt"
  expect 0 "" "$iotrace" $view "$dir/t.crt" -o "$dir/view"
  [ -s "$dir/view" ] || fail "$view -o writes nothing"
  "$iotrace" $view "$dir/t.crt" -o - | cmp - "$dir/view" || fail "$view does not write the same twice"
done

# Without events there are still times.
CORERING_TRACE=hist,file=$dir/hist.crt "$programs/read_switch" "$dir/file" > /dev/null 2>> "$dir/log" || fail "hist"
expect 0 'read: ' "$iotrace" stat "$dir/hist.crt"
for stage in queue dispatch run turn batch kernel resume total; do
  grep -q "^  $stage " "$dir/out" || fail "stat of times has no $stage: $(cat "$dir/out")"
done
expect 0 'without events' "$iotrace" stat "$dir/hist.crt" --kind read
! grep -q '^worker' "$dir/out" || fail "stat --kind read prints others"

# What is slow is captured, and marked.
CORERING_TRACE=full,slow=1ns,every=1ns,file=$dir/slow.crt "$programs/read_switch" "$dir/file" > /dev/null 2>> "$dir/log" || fail "slow="
expect 0 'came too soon after another one' "$iotrace" show "$dir/slow.crt" --captured
[ "$(grep -c 'read(' "$dir/out")" -gt 0 ] || fail "no read was captured: $(cat "$dir/out")"
expect 0 'read(' "$iotrace" slowest 1 "$dir/slow.crt" --captured --kind read
[ -z "$("$iotrace" show "$dir/t.crt" --captured)" ] || fail "without a limit something was captured"
id=$("$iotrace" show "$dir/slow.crt" --captured --kind read | first_line | sed 's/.*#\([0-9]*\).*/\1/')
expect 0 'It was captured, because it was slow' "$iotrace" why "$id" "$dir/slow.crt"

# A viewer would fail on a large file, so none is written; a person may insist.
expect 1 'iotrace perfetto' "$iotrace" chrome "$dir/t.crt" --limit 5 -o "$dir/large"
[ ! -e "$dir/large" ] || fail "chrome refuses, and leaves a file"
expect 0 "$dir/large" "$iotrace" chrome "$dir/t.crt" --limit=1000000 -o "$dir/large"
expect 2 'a number of events' "$iotrace" chrome "$dir/t.crt" --limit many

# The reading of `iotrace flow` leaves a trace file, too: ./run makes its pages from it.
for flow in switch callback; do
  CORERING_TRACE=full,file=$dir/$flow.crt "$iotrace" flow $flow "$dir/file" > /dev/null 2>> "$dir/log" || fail "flow $flow"
  expect 0 'read(' "$iotrace" show "$dir/$flow.crt" --kind read
  expect 0 "$dir/$flow.html" "$iotrace" html "$dir/$flow.crt" -o "$dir/$flow.html"
done

# ---- what cannot be done: one line, and an exit code ----
printf 'this is no trace file, but a text that is long enough' > "$dir/text"
for command in show stat 'slowest 1' 'why 1' 'flow 1' html perfetto chrome; do
  expect 1 'No such file' "$iotrace" $command "$dir/none"
  expect 1 'is no trace file' "$iotrace" $command "$dir/text"
  expect 2 'usage: iotrace' "$iotrace" $command
  expect 2 'unknown option' "$iotrace" $command "$dir/t.crt" --frobnicate
done
for command in show stat slowest why html perfetto chrome check diff; do
  expect 0 "usage: iotrace $command" "$iotrace" $command --help
done
expect 0 'usage: iotrace flow ID FILE' "$iotrace" flow 1 --help
expect 2 'is no trace file' "$iotrace" check "$dir/text" --p99 'read<5ms'
expect 2 'is no trace file' "$iotrace" diff "$dir/text" "$dir/t.crt"
expect 2 'needs a demand' "$iotrace" check "$dir/t.crt"
expect 2 'a demand is' "$iotrace" check "$dir/t.crt" --p99 read
expect 1 'there is no operation 0' "$iotrace" why 0 "$dir/t.crt"
expect 1 'there is no operation x' "$iotrace" why x "$dir/t.crt"
expect 2 'is a time' "$iotrace" show "$dir/t.crt" --slower-than 5
expect 2 'needs a value' "$iotrace" show "$dir/t.crt" --fd
expect 2 'a number of operations' "$iotrace" slowest x "$dir/t.crt"
