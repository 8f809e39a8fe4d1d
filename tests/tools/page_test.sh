#!/usr/bin/env bash
# page_test.sh WRITE_VIEWS PACKAGES MERMAID WORK [SCREENSHOTS] — the page of iotrace html in Chromium: keyboard, mouse, search, copying, accessibility.
# PACKAGES and MERMAID hold package.json and its lock; they are installed in WORK, once. SCREENSHOTS is a folder for pictures.
set -euo pipefail
write_views=$1 packages=$2 mermaid=$3 work=$4 screenshots=${5:-}
for tool in node npm chromium; do
  command -v $tool > /dev/null || { echo "skipped: $tool is not installed, so no browser opens the page (Debian: nodejs, npm, chromium)"; exit 77; }
done
# install FROM TO: what is already there stays.
install() {
  mkdir -p "$2"
  cmp -s "$1/package-lock.json" "$2/installed-lock.json" && return
  cp "$1/package.json" "$1/package-lock.json" "$2"
  npm ci --prefix "$2" --no-audit --no-fund --loglevel=error || { echo "skipped: npm could not install what $1/package.json names"; exit 77; }
  cp "$1/package-lock.json" "$2/installed-lock.json"
}
install "$packages" "$work"
install "$mermaid" "$work/mermaid"
cp "$packages/use_page.mjs" "$work"
cp "$mermaid/parse.mjs" "$work/mermaid"
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
mkdir "$dir/big" "$dir/empty" "$dir/diagrams"
"$write_views" 2000 2 "$dir" expected page.html
"$write_views" 200000 2 "$dir/big" page.html
"$write_views" 0 1 "$dir/empty" page.html

code=$(sed '/id="data"/,/<\/script>/d; /id="head"/,/<\/script>/d' "$dir/page.html" | wc -c)
whole=$(wc -c < "$dir/big/page.html")
echo "measured: $code bytes of code, $((whole - code)) bytes for 200,000 operations"
[ "$code" -gt 20000 ] && [ "$code" -le 200000 ] || { echo "FAILED: the page has $code bytes of code, and at most 200,000 are allowed"; exit 1; }
! grep -qE '(src|href)="|@import|url\(' "$dir/page.html" || { echo "FAILED: the page refers to something outside"; exit 1; }

(cd "$work" && node use_page.mjs "$(command -v chromium)" "$dir/page.html" "$dir/big/page.html" "$dir/empty/page.html" "$dir/diagrams" $screenshots)
# What the page copies is what Mermaid takes.
(cd "$work/mermaid" && node parse.mjs "$dir"/diagrams/*.mmd)
