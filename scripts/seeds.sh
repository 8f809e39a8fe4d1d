#!/usr/bin/env bash
# scripts/seeds.sh [COUNT [PRESET]] — tries COUNT seeds (100000) of the simulated world, a part of them on each processor; before that,
# those that have failed once (tests/sim/failed_before.txt). The exit code is 1 when one failed.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-100000}
preset=${2:-release}
case $count in '' | 0* | *[!0-9]*) echo "usage: scripts/seeds.sh [COUNT [PRESET]]" >&2; exit 2 ;; esac
program=build/$preset/bin/sim_explore
[ -x "$program" ] || { echo "seeds.sh: build it first: cmake --build --preset $preset --target sim_explore" >&2; exit 2; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
status=0 replayed=0
while read -r seed _; do
  "$program" "$seed" 1 > "$dir/before" 2>&1 || { echo "seed $seed, which has failed before, fails again:"; cat "$dir/before"; status=1; }
  replayed=$((replayed + 1))
done < <(grep '^[0-9]' tests/sim/failed_before.txt)
rm -f "$dir/before"
echo "$replayed seeds that have failed before were tried first"
parts=$(nproc) processes=()
for part in $(seq 0 $((parts - 1))); do
  first=$((part * count / parts)) next=$(((part + 1) * count / parts))  # so no remainder is lost
  [ $next -gt $first ] || continue
  "$program" $((1 + first)) $((next - first)) > "$dir/$part" 2>&1 & processes+=($!)
done
for process in "${processes[@]}"; do wait "$process" || status=1; done
cat "$dir"/*
exit $status
