#!/usr/bin/env bash
# scripts/replays.sh [COUNT] — records and replays the example many_clients COUNT times (1000). The exit code is 1 when an order was not the same again.
set -uo pipefail
cd "$(dirname "$0")/.."
count=${1:-1000}
case $count in '' | *[!0-9]*) echo "usage: scripts/replays.sh [COUNT]" >&2; exit 2 ;; esac
program=${CORERING_PROGRAM:-build/release/bin/many_clients}
[ -x "$program" ] || { echo "replays.sh: build it first: cmake --build --preset release --target many_clients" >&2; exit 2; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
same=0
for _ in $(seq "$count"); do
  CORERING_TRACE=replay,bytes,file=$dir/run timeout 20 "$program" > "$dir/first" || { echo "a recorded run failed"; exit 1; }
  CORERING_REPLAY=$dir/run timeout 20 "$program" > "$dir/again" || { echo "a replay failed"; exit 1; }
  cmp -s "$dir/first" "$dir/again" && same=$((same + 1))
  tail -n 1 "$dir/first" >> "$dir/orders"
done
echo "$same of $count recorded runs had the same order again; they had $(sort -u "$dir/orders" | wc -l) different orders"
[ "$same" -eq "$count" ]
