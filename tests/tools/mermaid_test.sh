#!/usr/bin/env bash
# mermaid_test.sh IOTRACE PACKAGES WORK — Mermaid itself parses every diagram; a broken one is refused.
# PACKAGES holds package.json and its lock; they are installed in WORK, once.
set -euo pipefail
iotrace=$1 packages=$2 work=$3
for tool in node npm; do
  command -v $tool > /dev/null || { echo "skipped: $tool is not installed, Mermaid cannot be asked"; exit 77; }
done
mkdir -p "$work"
if ! cmp -s "$packages/package-lock.json" "$work/installed-lock.json"; then
  cp "$packages/package.json" "$packages/package-lock.json" "$work"
  npm ci --prefix "$work" --no-audit --no-fund --loglevel=error
  cp "$packages/package-lock.json" "$work/installed-lock.json"
fi
cp "$packages/parse.mjs" "$work"
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
printf 'hello, ring' > "$dir/file"
: > "$dir/empty"
head -c 100000 /dev/zero > "$dir/many"
printf x > "$dir/a;b#c: (d) \"e\" end
end"
for flow in switch callback; do
  i=0
  for file in file empty many "a;b#c: (d) \"e\" end
end"; do
    i=$((i + 1))
    "$iotrace" flow $flow "$dir/$file" --chunk 4096 --format mermaid -o "$dir/$flow-$i.mmd"
    "$iotrace" flow $flow "$dir/$file" --chunk 4096 --format json -o "$dir/$flow-$i.json"
  done
done
for flow in switch callback; do  # another name of the kernel, and more than one read
  for format in mermaid json; do
    CORERING_KERNEL=emulated "$iotrace" flow $flow "$dir/many" --chunk 4096 --format $format -o "$dir/$flow-6.${format/mermaid/mmd}" 2> "$dir/said"
  done
done
for flow in switch callback; do  # a read that fails
  "$iotrace" flow $flow /proc/self/mem --format mermaid -o "$dir/$flow-5.mmd" 2> /dev/null && { echo "FAILED: it read"; exit 1; }
done
(cd "$work" && node parse.mjs "$dir"/*.mmd "$dir"/*.json)
# This shows that the check can fail.
sed '$s/->>/-%>/; $s/-->>/-%>/' "$dir/switch-1.mmd" > "$dir/broken.mmd"
if (cd "$work" && node parse.mjs "$dir/broken.mmd") > /dev/null 2>&1; then
  echo "FAILED: a broken diagram was accepted"; exit 1
fi
