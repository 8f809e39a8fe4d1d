#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS] [NAME...] — lets libFuzzer try each target (or the named ones) for SECONDS (60), one on each processor.
# It says how many inputs were tried and how many features they reached. An input that fails is kept in build/fuzz/failed, and the exit
# code is 1. New inputs that reach something go to build/fuzz/corpus; `scripts/fuzz.sh merge NAME...` takes some of them
# into tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
. scripts/environment.sh
seconds=60
merges=
case ${1:-} in
  merge) merges=yes; shift ;;
  '' | *[!0-9]*) ;;
  *) seconds=$1; shift ;;
esac
names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(cd tests/fuzz/corpus && echo *))
for name in "${names[@]}"; do
  [ -f "tests/fuzz/$name.cpp" ] || die "there is no target '$name' in tests/fuzz; there are: $(cd tests/fuzz/corpus && echo *)"
done
need_build_tools libclang-rt-19-dev llvm-19 lld-19
build asan "${names[@]/#/fuzz_}"
failed=build/fuzz/failed
mkdir -p "$failed"
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 CORERING_KERNEL=emulated

fuzz() {  # NAME
  local name=$1 log=build/fuzz/$1.log grown=build/fuzz/corpus/$1 status=0
  mkdir -p "$grown"
  "build/asan/bin/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="$top/$failed/$name-" "$grown" "tests/fuzz/corpus/$name" > "$log" 2>&1 < /dev/null || status=$?
  local tried features
  tried=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  features=$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  printf '%-15s %10s inputs  %6s features  %s\n' "$name" "${tried:-?}" "${features:-?}" "$([ $status -eq 0 ] && echo ok || echo FAILED)"
  [ $status -eq 0 ] || { grep -E 'ERROR|SUMMARY|runtime error|^corering:|Test unit written|^Base64|^ +#[0-9]+ 0x.*/(src|tests|examples|include|tools)/' "$log" | tail -n 25; }
  return $status
}

# merge NAME: of the inputs that together reach all that is known, at most 30 become the committed corpus, the largest ones.
merge() {
  local name=$1 all=build/fuzz/merged/$1 into=tests/fuzz/corpus/$1 one
  rm -rf "$all"; mkdir -p "$all"
  "build/asan/bin/fuzz_$name" -merge=1 -max_len=1024 "$all" "$into" "build/fuzz/corpus/$name" > "build/fuzz/$name.merge.log" 2>&1
  find "$all" -type f -printf '%s %p\n' | sort -rn | sed -n 1,30p | while read -r _ one; do
    cp "$one" "$into/$(basename "$one" | cut -c 1-12)"
  done
  echo "$name: $(find "$into" -type f | wc -l) inputs"
}

if [ -n "$merges" ]; then
  for name in "${names[@]}"; do merge "$name"; done
  exit 0
fi
status=0
running=()
for name in "${names[@]}"; do
  if [ ${#running[@]} -ge "$(nproc)" ]; then
    wait "${running[0]}" || status=1
    running=("${running[@]:1}")
  fi
  fuzz "$name" & running+=($!)
done
for one in "${running[@]}"; do wait "$one" || status=1; done
[ $status -eq 0 ] || echo "inputs that failed are in $failed; run build/asan/bin/fuzz_NAME FILE"
exit $status
