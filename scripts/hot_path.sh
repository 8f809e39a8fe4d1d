#!/usr/bin/env bash
# scripts/hot_path.sh [--update] — instructions, allocations and io_uring_enter calls per operation, held against benchmarks/hot_path.txt.
# Instructions are counted by callgrind, in user space, as the difference between two runs of different length: they
# repeat to the last digit, also on a busy machine. A rise of more than 1 % fails, and so does any allocation more.
# --update writes the new figures.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/environment.sh"
cd "$top"
need_build_tools valgrind strace
build release hot_path
program=build/release/bin/hot_path
baseline=benchmarks/hot_path.txt
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT

# Each runs "$program WORKLOAD COUNT" and prints one number.
instructions() { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'; }
allocations() { valgrind --tool=memcheck --undef-value-errors=no "$program" "$1" "$2" 2>&1 | sed -n 's/.*heap usage: \([0-9,]*\) allocs.*/\1/p' | tr -d ,; }
enters() { strace -f -c -o "$dir/calls" -e trace=io_uring_enter "$program" "$1" "$2"; awk '$NF == "io_uring_enter" {print $4}' "$dir/calls"; }
# per_operation FUNCTION WORKLOAD
per_operation() {
  local one two
  one=$("$1" "$2" 6400); two=$("$1" "$2" 12800)
  [ -n "$one" ] && [ -n "$two" ] || die "$1 of $2 could not be counted"
  awk -v one="$one" -v two="$two" 'BEGIN {printf "%.2f", (two - one) / 6400}'
}

for workload in nop read spawn await post echo drain close cancel; do
  counts=$workload
  for kind in instructions allocations enters; do counts+=" $(per_operation "$kind" "$workload")"; done
  echo "$counts"
done > "$dir/now"
if [ "${1:-}" = --update ]; then
  { echo "# Per operation: instructions in user space, allocations, calls of io_uring_enter. clang 19, release. Written by scripts/hot_path.sh."
    cat "$dir/now"; } > "$baseline"
  cat "$baseline"
  exit 0
fi
awk '
  FNR == NR { if ($1 != "#") { instructions[$1] = $2; allocations[$1] = $3; enters[$1] = $4 } next }
  FNR == 1 { printf "%-8s %14s %14s %8s %12s %8s\n", "", "instructions", "baseline", "", "allocations", "enters" }
  { if (!($1 in instructions)) { print $1 " has no baseline: run scripts/hot_path.sh --update"; failed = 1; next }
    change = 100 * ($2 / instructions[$1] - 1)
    printf "%-8s %14.2f %14.2f %+7.1f%% %12.2f %8.2f\n", $1, $2, instructions[$1], change, $3, $4
    if (change > 1) { print "  more than 1 % above the baseline"; failed = 1 }
    if ($3 > allocations[$1] + 0.005) { print "  allocates more than the baseline, which is " allocations[$1]; failed = 1 }
    if ($4 > 1.03 * enters[$1] + 0.005) { print "  enters the kernel more often than the baseline, which is " enters[$1]; failed = 1 }
    if (change < -3) print "  better: run scripts/hot_path.sh --update and commit" }
  END { exit failed }' "$baseline" "$dir/now"
