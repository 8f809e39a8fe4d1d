#!/usr/bin/env bash
# views_test.sh WRITE_VIEWS TRACE_TESTS — Perfetto's and Chrome's view hold the same operations, stages and times.
set -euo pipefail
write_views=$1 tests=$2
for tool in protoc python3; do
  command -v $tool > /dev/null || { echo "skipped: $tool is not installed, so nothing decodes the views (Debian: protobuf-compiler, python3)"; exit 77; }
done
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"

"$write_views" 2000 2 "$dir" expected perfetto chrome
protoc --decode=Trace -I"$tests" perfetto_subset.proto < "$dir/perfetto" > "$dir/perfetto.txt"
python3 "$tests/compare_views.py" "$dir/expected" "$dir/perfetto.txt" "$dir/chrome"

# This shows that the comparison can fail: an operation is missing, a time is another, an end is missing.
refuses() { expect 1 "FAILED: $1" python3 "$tests/compare_views.py" "${@:2}"; }
sed 1d "$dir/expected" > "$dir/fewer"
refuses 'Perfetto has' "$dir/fewer" "$dir/perfetto.txt" "$dir/chrome"
sed '5s/ \([0-9]*\)$/ 1\1/' "$dir/expected" > "$dir/later"
refuses 'Perfetto, operation 5' "$dir/later" "$dir/perfetto.txt" "$dir/chrome"
awk '/"ph": "b"/ && !done { sub(/"ts": [0-9.]+/, "\"ts\": 1.000"); done = 1 } 1' "$dir/chrome" > "$dir/other"
refuses 'Chrome, operation' "$dir/expected" "$dir/perfetto.txt" "$dir/other"
grep -v '"ph": "e".*"name": "reap"' "$dir/chrome" > "$dir/unpaired"
refuses '' "$dir/expected" "$dir/perfetto.txt" "$dir/unpaired"
