#!/usr/bin/env bash
# iotrace_test.sh IOTRACE — the steps are the brief's, in its order; bad input is one clear line; nothing is left behind.
set -euo pipefail
iotrace=$1
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $1"; exit 1; }
printf 'hello, ring' > "$dir/file"

# steps FLOW prints the names of the steps of one read, in order.
steps() { "$iotrace" flow "$1" "$dir/file" --format json | sed -n 's/.*"step": "\([a-z_]*\)".*/\1/p' | paste -sd' '; }

# ---- the steps of the brief ----
# The worker gets time to fall asleep. On a busy machine it may still be awake, and then the trace says elided.
want_asleep="await pushed eventfd_written suspended woken popped resumed filled suspended_for_io submitted completed processed resumed_with_result returned"
want_awake="await pushed eventfd_elided suspended popped resumed filled suspended_for_io submitted completed processed resumed_with_result returned"
seen_asleep=no
for _ in 1 2 3 4 5 6 7 8 9 10; do
  got=$(steps switch)
  [ "$got" = "$want_asleep" ] && seen_asleep=yes && break
  [ "$got" = "$want_awake" ] || fail "switch: $got"
done
[ $seen_asleep = yes ] || fail "in ten runs the worker was never asleep"
got=$(steps callback)
[ "$got" = "thread_started coroutine_started await filled suspended_for_io submitted completed processed resumed_with_result" ] ||
  fail "callback: $got"

# The kernel's own step is measured where this is allowed. Elsewhere every drawing says that nobody saw it.
watched() { "$1" flow "$2" "$dir/file" --format json | grep -q '"step": "completed".*"observed": true'; }
all_but_the_kernels_step_seen() { # IOTRACE FLOW
  local unseen; unseen=$("$1" flow "$2" "$dir/file" --format json | grep '"observed": false' | grep -v '"step": "completed"' || true)
  [ -z "$unseen" ] || fail "$2: unobserved: $unseen"
}
if [ "$(id -u)" -eq 0 ]; then
  cp "$iotrace" "$dir/iotrace"; chmod 755 "$dir" "$dir/iotrace"; chmod 644 "$dir/file"
  printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s/iotrace "$@"\n' "$dir" > "$dir/unprivileged"
  chmod 755 "$dir/unprivileged"
  unprivileged=$dir/unprivileged
else
  unprivileged=$iotrace
fi
may_watch=no
[ "$(id -u)" -eq 0 ] && unshare -m mount -t tracefs none /sys/kernel/tracing 2> /dev/null && may_watch=yes
for flow in switch callback; do
  all_but_the_kernels_step_seen "$iotrace" $flow
  if [ $may_watch = yes ]; then watched "$iotrace" $flow || fail "$flow: the kernel's step was not measured"; fi
  all_but_the_kernels_step_seen "$unprivileged" $flow
  if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -ge 0 ] || [ ! -r /sys/kernel/tracing/events ]; then
    "$unprivileged" flow $flow "$dir/file" --format mermaid | grep -q -e '-->>.*(not observed)' || fail "mermaid hides it"
    "$unprivileged" flow $flow "$dir/file" | grep -q '?.*(not observed)' || fail "text hides it"
  fi
done

# On one thread times never go back. This checks the steps of the main thread, and those of the worker.
for who in '"pushed"|"eventfd_|"suspended"|"returned"' '"popped"|"resumed"|"filled"|"submitted"|"processed"'; do
  "$iotrace" flow switch "$dir/file" --chunk 3 --format json | grep -E "\"step\": ($who)" |
    sed 's/.*"ns": \([0-9]*\),.*/\1/' | sort -n -c || fail "times step back among $who"
done

# ---- only some of many reads are shown, and the output says how many there were ----
head -c 100000 /dev/zero > "$dir/many"
"$iotrace" flow switch "$dir/many" --chunk 1000 | head -n 1 | grep -q '100000 bytes in 100 reads of at most 1000 bytes; the first 4 are shown and 96 not' ||
  fail "the cap is not stated"
[ "$("$iotrace" flow callback "$dir/many" --chunk 1000 --format mermaid | wc -c)" -lt 50000 ] || fail "mermaid's limit"

# ---- names that hurt ----
odd="$dir/a;b#c \"d\"
end"
printf x > "$odd"
"$iotrace" flow switch "$odd" --format mermaid | grep -q 'a#59;b#35;c' || fail "a name is not escaped"
[ "$("$iotrace" flow switch "$odd" --format mermaid | grep -c '^end')" -eq 0 ] || fail "a name broke the diagram"

# ---- -o ----
"$iotrace" flow callback "$dir/file" -o "$dir/out"
head -n 1 "$dir/out" | grep -q '^Worker Callback: ' || fail "-o wrote something else"

# ---- bad input: one line, the right exit code, nothing left ----
refused() { # CODE WORDS ARGUMENT...
  local code=$1 words=$2 got=0; shift 2
  timeout 20 "$iotrace" "$@" > "$dir/stdout" 2> "$dir/stderr" || got=$?
  [ "$got" -eq "$code" ] || fail "exit $got instead of $code: $*"
  [ "$(wc -l < "$dir/stderr")" -eq 1 ] || fail "not one line: $(cat "$dir/stderr")"
  grep -q -- "$words" "$dir/stderr" || fail "'$words' is not in: $(cat "$dir/stderr")"
  [ ! -s "$dir/stdout" ] || fail "printed something all the same: $*"
}
mkfifo "$dir/fifo"
for flow in switch callback; do
  refused 1 'No such file' flow $flow "$dir/none"
  refused 1 'Is a directory' flow $flow "$dir"
  refused 1 'character device' flow $flow /dev/zero
  refused 1 'nothing came for 1 s' flow $flow "$dir/fifo" --timeout 1
  refused 1 'No such file' flow $flow "$dir/file" -o "$dir/no/such/folder"
done
# The output must not be the input, and not something that hangs.
cp "$dir/file" "$dir/same"
refused 1 'is the file to read' flow switch "$dir/same" -o "$dir/same"
cmp -s "$dir/file" "$dir/same" || fail "the input was overwritten"
refused 1 'No such device' flow switch "$dir/file" -o "$dir/fifo"
refused 1 'No such file' flow switch "$dir/two
lines"
sleep 60 > "$dir/fifo" & writer=$!
refused 1 'nothing came for 1 s' flow switch "$dir/fifo" --timeout 1
kill $writer
refused 1 'No space left' flow switch "$dir/file" -o /dev/full
refused 2 'usage:'
refused 2 'usage:' flow switch
refused 2 'usage:' flow switch a b
refused 2 'not .sideways.' flow sideways "$dir/file"
refused 2 'unknown option' flow switch "$dir/file" --frobnicate
refused 2 'needs a value' flow switch "$dir/file" --chunk
for bad in 0 -1 x 1x '' 99999999999999999999; do refused 2 '--chunk is' flow switch "$dir/file" --chunk "$bad"; done
refused 2 '--timeout is' flow switch "$dir/file" --timeout 0
refused 2 '--format is' flow switch "$dir/file" --format xml
# A program that is not root may not read everything.
chmod 000 "$dir/file"
iotrace=$unprivileged refused 1 'Permission denied' flow switch "$dir/file"
echo "steps, caps, escapes and refusals as promised; the kernel's own step was measured: $may_watch"
