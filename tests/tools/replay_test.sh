#!/bin/bash
# replay_test.sh — a program is recorded and replayed by its environment. Argument: the folder of the programs.
set -u
programs=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
source "$(dirname "$0")/support.sh"

CORERING_TRACE=replay,bytes,file=$dir/run.replay timeout 60 "$programs/many_clients" > "$dir/first" 2> "$dir/log" || fail "recording"
[ ! -s "$dir/log" ] || fail "a recording says something"
for _ in 1 2 3; do
  CORERING_REPLAY=$dir/run.replay expect 0 order "$programs/many_clients"
  cmp "$dir/first" "$dir/out" || fail "another order"
done

# What is wrong is one line.
one_line() { [ "$(grep -c '^corering: ' "$dir/out")" -eq 1 ] || fail "not one line: $(cat "$dir/out")"; }
head -c 5000 "$dir/run.replay" > "$dir/cut.replay"
CORERING_REPLAY=$dir/cut.replay expect 1 'cut.replay has been cut' "$programs/many_clients"
one_line
CORERING_REPLAY=$dir/none expect 1 'none cannot be read: No such file' "$programs/many_clients"
one_line
CORERING_REPLAY=$dir/first expect 1 'first is no replay file' "$programs/many_clients"
one_line
head -c 1000 /dev/zero > "$dir/file"
CORERING_REPLAY=$dir/run.replay expect 134 'it was recorded from "many_clients", and this is "cat"' "$programs/cat" "$dir/file"
one_line

# What cannot be replayed says why, when it is recorded and when it is replayed.
CORERING_TRACE=replay,file=$dir/pool.replay expect 0 'this run cannot be replayed: another thread' "$programs/sharded_counter"
one_line
CORERING_REPLAY=$dir/pool.replay expect 1 'pool.replay cannot be replayed: another thread' "$programs/many_clients"

CORERING_TRACE=replay,full,file=$dir/x expect 0 'replay,file=PATH' "$programs/many_clients"
CORERING_TRACE=replay,file=$dir/no/such/folder expect 0 'nothing is recorded' "$programs/many_clients"
