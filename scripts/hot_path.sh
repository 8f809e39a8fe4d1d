#!/usr/bin/env bash
# scripts/hot_path.sh [--update] — instructions and io_uring_enter calls per operation, held against benchmarks/hot_path.txt.
# Instructions are counted by callgrind, in user space, as the difference between two runs of different length: they
# repeat to the last digit, also on a busy machine. A rise of more than 3 % fails. --update writes the new figures.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/environment.sh"
cd "$top"
need_build_tools valgrind strace
build release hot_path
program=build/release/bin/hot_path
baseline=benchmarks/hot_path.txt
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT

instructions() { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'; }
enters() { strace -f -c -o "$dir/calls" -e trace=io_uring_enter "$program" "$1" "$2"; awk '$NF == "io_uring_enter" {print $4}' "$dir/calls"; }
# per_operation FUNCTION WORKLOAD
per_operation() { awk -v one="$("$1" "$2" 6400)" -v two="$("$1" "$2" 12800)" 'BEGIN {printf "%.2f", (two - one) / 6400}'; }

for workload in nop read spawn await post echo; do
  printf '%s %s %s\n' "$workload" "$(per_operation instructions "$workload")" "$(per_operation enters "$workload")"
done > "$dir/now"
if [ "${1:-}" = --update ]; then
  { echo "# Per operation: instructions in user space, calls of io_uring_enter. clang 19, release. Written by scripts/hot_path.sh."
    cat "$dir/now"; } > "$baseline"
  cat "$baseline"
  exit 0
fi
awk '
  FNR == NR { if ($1 != "#") { instructions[$1] = $2; enters[$1] = $3 } next }
  FNR == 1 { printf "%-8s %14s %14s %8s %10s\n", "", "instructions", "baseline", "", "enters" }
  { change = 100 * ($2 / instructions[$1] - 1)
    printf "%-8s %14.2f %14.2f %+7.1f%% %10.2f\n", $1, $2, instructions[$1], change, $3
    if (change > 3 || $3 > 1.03 * enters[$1] + 0.005) { print "  more than 3 % above the baseline"; failed = 1 }
    if (change < -3) print "  better: run scripts/hot_path.sh --update and commit" }
  END { exit failed }' "$baseline" "$dir/now"
