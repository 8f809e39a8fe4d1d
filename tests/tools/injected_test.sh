#!/usr/bin/env bash
# injected_test.sh BIN — strace makes one system call of a program fail, each in turn, in each way that it can. The program comes to its
# end with the right bytes, or it says in one line what is wrong. It never hangs, and no signal ends it.
set -euo pipefail
bin=$1
command -v strace > /dev/null || { echo "skipped: strace is not installed"; exit 77; }
[ "$("$bin/corering" kernel)" = io_uring ] || { echo "skipped: about the real ring: its system calls"; exit 77; }
export CORERING_KERNEL=io_uring
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
head -c 3000000 /dev/urandom > "$dir/file"
# What comes through a FIFO is not in the page cache, so each piece takes an enter or two.
mkfifo "$dir/fifo"
echo "$(wc -l < "$dir/file") $(wc -c < "$dir/file") $dir/fifo" > "$dir/wanted.pipeline"
cp "$dir/file" "$dir/wanted.read_switch"
cp "$dir/file" "$dir/wanted.read_callback"
cp "$dir/file" "$dir/wanted.cat"

strace -o /dev/null -e trace=eventfd2 true 2> "$dir/err" || { echo "skipped: strace may not trace here: $(first_line < "$dir/err")"; exit 77; }
runs=0 ended=0
feed() {
  input=$dir/file feeder=
  [ "$1" = pipeline ] || return 0
  input=$dir/fifo
  cat "$dir/file" > "$dir/fifo" 2> /dev/null & feeder=$!
}
stop_feeding() {
  [ -n "$feeder" ] || return 0
  kill "$feeder" 2> /dev/null || :
  wait "$feeder" 2> /dev/null || :
}
# inject MUST_END PROGRAM CALL:ERROR N: the N-th such call fails. Sets `code`.
inject() {
  local must_end=$1 program=$2 what=$3 n=$4
  code=0
  feed "$program"
  timeout 30 strace -f -qq -o /dev/null -e "trace=${what%%:*}" -e "inject=$what:when=$n" \
    "$bin/$program" "$input" > "$dir/out" 2> "$dir/err" < /dev/null || code=$?
  stop_feeding
  runs=$((runs + 1))
  local told="$program, call $n of $what: exit $code, said: $(first_line < "$dir/err")"
  case $code in
    0) cmp -s "$dir/out" "$dir/wanted.$program" || fail "$told: wrong bytes"
       ended=$((ended + 1)) ;;
    1) [ "$must_end" = no ] || fail "$told: it was to go on"
       [ "$(wc -l < "$dir/err")" -eq 1 ] || fail "$told: not one line: $(cat "$dir/err")" ;;
    *) fail "$told" ;;
  esac
}
# How often the program makes the call: `calls PROGRAM CALL`.
calls() {
  feed "$1"
  strace -f -qq -o "$dir/calls" -e "trace=$2" "$bin/$1" "$input" > /dev/null 2>&1 || :
  stop_feeding
  grep -c "$2(" "$dir/calls" || :
}

# ---- what the kernel may say to any enter, and the next one is answered ----
for error in EINTR EAGAIN EBUSY ENOMEM; do
  for n in $(seq 40); do inject yes pipeline io_uring_enter:error=$error "$n"; done
done
[ "$(calls pipeline io_uring_enter)" -ge 40 ] || fail "the program makes too few enters for this test"

# ---- what may be refused at set-up ----
for program in read_switch read_callback cat; do
  for error in EPERM ENOSYS ENOMEM EMFILE; do
    for n in $(seq "$(calls $program io_uring_setup)"); do inject no $program io_uring_setup:error=$error "$n"; done
  done
  for error in EMFILE ENFILE ENOMEM; do
    for n in $(seq "$(calls $program eventfd2)"); do inject no $program eventfd2:error=$error "$n"; done
  done
  for error in EINVAL ENOMEM EPERM; do
    for n in $(seq "$(calls $program io_uring_register)"); do inject no $program io_uring_register:error=$error "$n"; done
  done
  # The loader's come first; ours begin with the first ring.
  calls $program mmap,io_uring_setup > /dev/null
  loaders=$(sed '/io_uring_setup/,$d' "$dir/calls" | grep -c 'mmap(')
  for n in $(seq $((loaders + 1)) "$(calls $program mmap)"); do inject no $program mmap:error=ENOMEM "$n"; done
done
[ $runs -ge 250 ] || fail "only $runs runs"
echo "$runs runs, of which $ended came to their end with the right bytes"
