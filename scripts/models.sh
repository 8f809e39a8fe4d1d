#!/usr/bin/env bash
# scripts/models.sh [FOLDER] — Spin checks the models in tests/models (or FOLDER) in every order of their steps, and has to refute each
# weakened variant that a model names, by the error that it names. The exit code is 77, with the reason, where spin or a C compiler is missing.
set -euo pipefail
folder=$(realpath "${1:-$(dirname "$0")/../tests/models}")
compiler=
for one in clang-19 gcc-12 gcc cc; do command -v "$one" > /dev/null && { compiler=$one; break; }; done
command -v spin > /dev/null || { echo "skipped: spin is not installed (Debian: spin)"; exit 77; }
[ -n "$compiler" ] || { echo "skipped: there is no C compiler, which spin needs"; exit 77; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
failed=0

# check MODEL VARIANT SECONDS: what Spin says about it is in $dir/MODEL-VARIANT/out. An error is found soon; to see every order is not.
check() {
  local work=$dir/$1-$2; mkdir "$work"
  local weakened=(); [ "$2" = itself ] || weakened=("-D$2")
  (cd "$work"
   spin "${weakened[@]}" -a "$folder/$1.pml"
   "$compiler" -O2 -w -DSAFETY -DNOFAIR -o pan pan.c
   timeout "$3" ./pan -m200000 -w24 || echo "pan: exit code $?") > "$work/out" 2>&1 || true
}
# It stopped at no limit, and has seen everything.
is_complete() { ! grep -qE 'Search not completed|max search depth|out of memory|exit code' "$1" && grep -q 'State-vector' "$1"; }
errors_of() { sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$1"; }
states_of() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$1"; }

for path in "$folder"/*.pml; do
  model=$(basename "$path" .pml)
  check "$model" itself 180
  out=$dir/$model-itself/out
  if [ "$(errors_of "$out")" = 0 ] && is_complete "$out"; then
    echo "$model: holds in all of its $(states_of "$out") states"
  else
    echo "$model: FAILED"; grep -E '^pan|error|Error' "$out" | sed -n 1,5p; failed=1
  fi
  variants=$(sed -n 's/^#if\(n\{0,1\}\)def \([A-Z_]*\)$/\2/p' "$path" | sort -u)
  [ -n "$variants" ] || { echo "$model: FAILED: it has no weakened variant"; failed=1; }
  for variant in $variants; do
    check "$model" "$variant" 20
    out=$dir/$model-$variant/out
    wanted=$(sed -n "s/^ \*   $variant: //p" "$path")
    found=$(sed -n 's/^pan:[0-9]*: \(.*\) (at depth.*/\1/p' "$out" | tr -s ' ')
    if [ "$(errors_of "$out")" != 1 ]; then
      echo "  $variant: FAILED, it is not refuted"; grep 'exit code' "$out" || true; failed=1
    elif [ "$found" != "$wanted" ]; then
      echo "  $variant: FAILED, it is refuted by '$found', and not by '${wanted:-what the model must name}'"; failed=1
    else
      echo "  $variant: refuted, $found"
    fi
  done
done
exit $failed
