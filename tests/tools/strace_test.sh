#!/usr/bin/env bash
# strace_test.sh BIN — seen from outside: which thread makes which system call, and what happens when the kernel refuses.
set -euo pipefail
bin=$1
[ "$("$bin/corering" kernel)" = io_uring ] || { echo "skipped: about the real ring: its system calls"; exit 77; }
export CORERING_KERNEL=io_uring  # nobody tries beforehand whether it is allowed
command -v strace > /dev/null || { echo "skipped: strace is not installed"; exit 77; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
fail() { echo "FAILED: $1"; [ -s "$dir/trace" ] && head -n 40 "$dir/trace"; exit 1; }
head -c 5000000 /dev/urandom > "$dir/file"
strace -f -o /dev/null true 2> /dev/null || { echo "skipped: tracing is not permitted here"; exit 77; }

# ---- the switch flow: 5 reads and the end of the file, an open and a stop make 8 posts ----
strace -f -o "$dir/trace" -e trace=execve,io_uring_setup,io_uring_enter,io_uring_register,eventfd2,write \
  "$bin/read_switch" "$dir/file" > "$dir/out"
cmp -s "$dir/file" "$dir/out" || fail "other bytes under strace"
main=$(awk '/execve/ {print $1; exit}' "$dir/trace")
[ "$(awk -v main="$main" '$1 == main && /io_uring_/' "$dir/trace" | wc -l)" -eq 0 ] || fail "the main thread entered io_uring"
[ "$(awk -v main="$main" '$1 != main && /io_uring_enter/' "$dir/trace" | wc -l)" -gt 0 ] || fail "nobody entered io_uring"
eventfd=$(sed -n 's/.*eventfd2.*= \([0-9]*\)$/\1/p' "$dir/trace")
wakes=$(awk -v main="$main" '$1 == main' "$dir/trace" | grep -c "write($eventfd, ")
[ "$wakes" -ge 1 ] && [ "$wakes" -le 8 ] || fail "8 posts cost $wakes eventfd writes"

# ---- set-up fails: there is one sentence that says what to do, and exit 1, but never a hang ----
refused() { # WORDS STRACE-INJECTION
  local code=0
  timeout 30 strace -f -o "$dir/trace" -e inject="$2" "$bin/iotrace" flow switch "$dir/file" \
    > "$dir/stdout" 2> "$dir/stderr" || code=$?
  [ $code -eq 1 ] || fail "$2: exit $code, $(cat "$dir/stderr")"
  [ "$(wc -l < "$dir/stderr")" -eq 1 ] || fail "$2: not one line: $(cat "$dir/stderr")"
  grep -q "$1" "$dir/stderr" || fail "$2: $(cat "$dir/stderr")"
}
refused 'RLIMIT_MEMLOCK' io_uring_setup:error=ENOMEM
refused 'RLIMIT_NOFILE' io_uring_setup:error=EMFILE
refused 'RLIMIT_NOFILE' eventfd2:error=EMFILE

# ---- the library does without what an older kernel refuses ----
for n in 1 2 3 4; do
  strace -f -o "$dir/trace" -e inject=io_uring_setup:error=EINVAL:when=1..$n "$bin/read_switch" "$dir/file" > "$dir/out"
  cmp -s "$dir/file" "$dir/out" || fail "without the $n newest flags"
  # There is the worker's ring, and the ring on which it tries what this kernel can do. The pattern has the bracket,
  # because strace may print a call in two lines: when it began, and when it resumed.
  [ "$(grep -c 'io_uring_setup(' "$dir/trace")" -eq $((n + 2)) ] || fail "flags are not given up one step at a time"
done
strace -f -o "$dir/trace" -e inject=io_uring_register:error=EINVAL "$bin/read_callback" "$dir/file" > "$dir/out"
cmp -s "$dir/file" "$dir/out" || fail "without a registered ring descriptor"

# ---- enter fails for a while ----
for error in EAGAIN EBUSY ENOMEM EINTR; do
  for n in 1 2 3 5 8; do
    timeout 30 strace -f -o "$dir/trace" -e inject=io_uring_enter:error=$error:when=$n \
      "$bin/read_switch" "$dir/file" > "$dir/out" || fail "$error at enter $n"
    cmp -s "$dir/file" "$dir/out" || fail "$error at enter $n lost bytes"
  done
done

# ---- iotrace draws a call that the kernel refused, and its retry, as two calls ----
# One of the first calls hands the read over; which one depends on how often the worker looked before.
drawn=0
for flow in switch callback; do
  for n in 1 2 3 4 5 6 7 8; do
    strace -f -o "$dir/trace" -e trace=io_uring_enter -e inject=io_uring_enter:error=EAGAIN:when=$n "$bin/iotrace" flow $flow "$dir/file" --reads 1 \
      --format mermaid > "$dir/out" || fail "$flow: iotrace and a refused enter"
    tail -n 1 "$dir/out" | found 'returns result \[65536 bytes\]\|Continues' || fail "$flow: $(tail -n 1 "$dir/out")"
    calls=$(grep -c 'io_uring_submit()' "$dir/out")
    refusals=$(grep -A 1 'io_uring_submit()' "$dir/out" | grep -c -e '-->>-Worker Thread: Takes nothing \[.*EAGAIN' || :)
    [ "$calls" -eq $((refusals + 1)) ] || fail "$flow: $refusals refusals, but $calls calls: $(cat "$dir/out")"
    drawn=$((drawn + refusals))
  done
done
[ $drawn -ge 1 ] || fail "no refused call is drawn"

# ---- iotrace's own set-up is over when the recorded thread starts: nothing of it lies in an arrow ----
for flow in switch callback; do
  strace -f -o "$dir/trace" -e trace=execve,clone,clone3,perf_event_open,mount,unshare,io_uring_setup "$bin/iotrace" flow $flow "$dir/file" > /dev/null
  awk '$2 ~ /^execve/ { if (!main) main = $1 }
       $1 != main && /perf_event_open\(/ { print "on another thread: " $0; bad = 1 }
       /perf_event_open\(|unshare\(|mount\(/ { setup = NR }
       $1 != main && /io_uring_setup\(/ { worker = $1; rings = NR }
       END { if (setup > rings) { print "after the last ring was made"; bad = 1 }
             exit bad }' "$dir/trace" > "$dir/why" || fail "$flow: $(cat "$dir/why")"
done
echo "system calls as promised: $wakes eventfd writes for 8 posts"
