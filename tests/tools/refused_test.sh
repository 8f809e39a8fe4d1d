#!/usr/bin/env bash
# refused_test.sh COMPILER ID INCLUDES SOURCE: the compiler refuses the source, and says why in words of ours.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
source "$(dirname "$0")/support.sh"
compiler=$1 id=$2 includes=$3 source=$4
wanted=$(sed -n 's|^// refused: ||p' "$source")
[ -n "$wanted" ] || fail "$source does not say how it is refused"
case $id in Clang) family=clang ;; *) family=gcc ;; esac
compilers=$(sed -n 's|^// compilers: ||p' "$source")
if [[ " ${compilers:-clang gcc} " != *" $family "* ]]; then echo "$family does not refuse this"; exit 77; fi
if "$compiler" -std=c++23 -Wall -Wextra -Werror -fsyntax-only -I "$includes" "$source" > "$dir/out" 2>&1; then
  fail "$source was compiled"
fi
grep -qF -- "$wanted" "$dir/out" || fail "nobody said '$wanted', but: $(head -c 3000 "$dir/out")"
# Each function of the source is refused, not only one of them.
for line in $(grep -n 'ignores_' "$source" | cut -d: -f1); do
  grep -qE "$(basename "$source"):$line:[0-9]+: error" "$dir/out" || fail "line $line was not refused"
done
