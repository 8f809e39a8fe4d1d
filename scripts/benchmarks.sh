#!/usr/bin/env bash
# scripts/benchmarks.sh [--rounds N] [--all | WORKLOAD...] — one run of ./bench into docs/BENCHMARKS.md, its charts and docs/benchmarks/run.json.
# What the compiler has most to do with is measured with g++ 12 besides.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/environment.sh"
cd "$top"
need python3
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT

version() { dpkg-query -W -f='${Version}' "$1"; }
cache() { sed -n "s/^$1:[A-Z]*=//p" build/release/CMakeCache.txt; }

./bench --json "$@" > "$dir/clang.json" || [ $? = 3 ]  # 3: a promise was missed, which the page shows, too
./bench --preset gcc --json nop read post spawn await > "$dir/gcc.json"
python3 - "$dir/clang.json" "$dir/gcc.json" > "$dir/run.json" <<'JOIN'
import json, sys
records, more = (json.load(open(path)) for path in sys.argv[1:])
for record in more:
    record["workload"] += " (g++ 12)"
print("[\n" + ",\n".join("  " + json.dumps(record) for record in records + more) + "\n]")
JOIN
{
  echo "date: $(date -u '+%Y-%m-%d %H:%M UTC')"
  echo "commit: $(git rev-parse --short HEAD)"
  echo "processors: $(nproc) x$(sed -n 's/^model name[^:]*://p' /proc/cpuinfo | sed -n 1p)"
  echo "memory: $(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo)"
  echo "machine: $(systemd-detect-virt 2>/dev/null || true)"
  echo "kernel: $(uname -sr)"
  echo "system: $(. /etc/os-release && echo "$PRETTY_NAME")"
  echo "compiler: $("$(cache CMAKE_CXX_COMPILER)" --version | sed -n 1p), $(cache CMAKE_CXX_FLAGS_RELEASE)"
  echo "libraries: liburing $(version liburing-dev), Asio $(version libasio-dev), libuv $(version libuv1-dev), fio $(version fio)"
  echo "load average at the end: $(cut -d ' ' -f 1-3 /proc/loadavg)"
} > "$dir/machine.txt"
mkdir -p docs/benchmarks
cp "$dir/run.json" "$dir/machine.txt" docs/benchmarks/
scripts/plots.py docs/benchmarks/run.json docs/benchmarks/machine.txt
