#!/usr/bin/env bash
# iotrace_test.sh IOTRACE — what was recorded is shown, however it ends; bad input is one clear line; nothing is left behind.
set -euo pipefail
iotrace=$(realpath "$1")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
printf 'hello, ring' > "$dir/file"

if [ "$(id -u)" -eq 0 ]; then
  cp "$iotrace" "$dir/iotrace"; chmod 755 "$dir" "$dir/iotrace"; chmod 644 "$dir/file"
  printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s/iotrace "$@"\n' "$dir" > "$dir/unprivileged"
  chmod 755 "$dir/unprivileged"
  unprivileged=$dir/unprivileged
else
  unprivileged=$iotrace
fi
# What nobody saw says so in every format, and the text says why.
for flow in switch callback; do
  if "$unprivileged" flow $flow "$dir/file" --format json | found '"step": "completed".*"observed": false'; then
    "$unprivileged" flow $flow "$dir/file" | found '? .*Places completion (CQE) in queue (not observed)' || fail "text hides it"
    "$unprivileged" flow $flow "$dir/file" | tail -n 1 | found 'cannot be observed: \(tracefs\|perf_event_open\)' || fail "why?"
    "$unprivileged" flow $flow "$dir/file" --format json | found '"kernel_unseen": "[a-z]' || fail "JSON does not say why"
  fi
done

# On one thread times never go back. This checks the steps of the main thread, and those of the worker.
for who in '"pushed"|"eventfd_|"suspended"|"returned"' '"popped"|"resumed"|"filled"|"submitted"|"processed"'; do
  "$iotrace" flow switch "$dir/file" --chunk 3 --format json | grep -E "\"step\": ($who)" |
    sed -n 's/.*"ns": \([0-9]*\),.*/\1/p' | sort -n -c || fail "times step back among $who"
done

# ---- only some of many reads are shown, and the output says how many there were ----
head -c 100000 /dev/zero > "$dir/many"
"$iotrace" flow switch "$dir/many" --chunk 1000 | first_line | found '100000 bytes in 100 reads of at most 1000 bytes; the first 4 are shown and 96 not' ||
  fail "the cap is not stated"
[ "$("$iotrace" flow callback "$dir/many" --chunk 1000 --format mermaid | wc -c)" -lt 50000 ] || fail "mermaid's limit"

# ---- a small file needs no large buffer, whatever --chunk says; a large one is read in chunks ----
"$iotrace" flow callback "$dir/file" --chunk 1073741824 --format json | grep '"step": "filled"' | found ', 11 bytes, offset 0' ||
  fail "a file of 11 bytes is given room for 1 GiB"
"$iotrace" flow callback "$dir/many" --chunk 1000 --format json | grep '"step": "filled"' | first_line | found ', 1000 bytes, offset 0' ||
  fail "--chunk is not what is asked for"

# ---- names that hurt ----
odd="$dir/a;b#c \"d\"
end"
printf x > "$odd"
"$iotrace" flow switch "$odd" --format mermaid | found 'a#59;b#35;c' || fail "a name is not escaped"
[ "$("$iotrace" flow switch "$odd" --format mermaid | grep -c '^end')" -eq 0 ] || fail "a name broke the diagram"

# JSON keeps every name that is UTF-8, and is valid with any other.
python3 - "$iotrace" "$dir" <<'CHECK' || fail "a name in JSON"
import json, os, subprocess, sys
iotrace, folder = sys.argv[1:]
for name, shown in [("grüße-日本-🎉", None), ('quote " and \\', None), ("tab\tand\x1b[31m", None), (b"latin-\xe9\xff", "latin-\ufffd\ufffd")]:
    path = os.path.join(os.fsencode(folder), os.fsencode(name))
    open(path, "w").write("x")
    for flow in "switch", "callback":
        out = subprocess.run([iotrace, "flow", flow, path, "--format", "json"], capture_output=True, check=True).stdout
        assert all(byte >= 0x20 or byte == 0x0a for byte in out), name
        got = json.loads(out.decode("utf-8"))["file"]
        assert got == os.path.join(folder, shown or name), (name, got)
CHECK
# What a terminal obeys never reaches it: neither C0 nor C1 nor DEL, nor what turns the line around. The rest stays.
for name in $'esc\x1b[31m\x07' $'c1\xc2\x9b31m' $'lone\x9b31m' $'del\x7f' $'turn\xe2\x80\xae' $'new\nline' $'ü\x1b'; do
  printf x > "$dir/$name"
  for format in text mermaid; do
    "$iotrace" flow switch "$dir/$name" --format $format > "$dir/shown"
    "$iotrace" flow switch "$dir/$name.none" > /dev/null 2>> "$dir/shown" && fail "no such file"
    python3 -c '
import sys, unicodedata
text = open(sys.argv[1], "rb").read().decode("utf-8")
bad = [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]
assert not bad, bad
assert "\\x" in text or "\\u202e" in text, text' "$dir/shown" || fail "$format shows $(printf %q "$name") as it is"
  done
done
grep -q 'ü\\x1b' "$dir/shown" || fail "a letter is no longer itself"

# ---- -o, and what is written in other ways ----
"$iotrace" flow callback "$dir/file" -o - | first_line | found '^Worker Callback: ' || fail "-o - is not the standard output"
"$iotrace" --format=json flow callback --reads=1 "$dir/file" --chunk=3 | found '"reads": 1,' || fail "--option=value"
for ask in --help -h "flow --help" "flow switch --help" "flow switch x --help"; do
  "$iotrace" $ask > "$dir/stdout" 2> "$dir/stderr" || fail "$ask: exit $?"
  head -n 1 "$dir/stdout" | found '^usage: iotrace flow' && [ ! -s "$dir/stderr" ] || fail "$ask"
done
"$iotrace" --version | found -x 'iotrace (corering) [0-9.]*' || fail "--version"
printf x > "$dir/--help"
(cd "$dir" && "$iotrace" flow switch -- --help) | first_line | found '^Switch to Worker: --help, 1 bytes' || fail "after -- nothing is an option"
"$iotrace" flow callback "$dir/file" -o "$dir/out"
head -n 1 "$dir/out" | found '^Worker Callback: ' || fail "-o wrote something else"

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
  refused 1 'character device.*--reads N' flow $flow /dev/zero
  refused 1 'No such file' flow $flow "$dir/file" -o "$dir/no/such/folder"
done
# The output must not be the input, and not something that hangs.
cp "$dir/file" "$dir/same"
refused 1 'is the file to read' flow switch "$dir/same" -o "$dir/same"
cmp -s "$dir/file" "$dir/same" || fail "the input was overwritten"
refused 1 'No such device' flow switch "$dir/file" -o "$dir/fifo"
refused 1 'No such file' flow switch "$dir/two
lines"

# ---- however it ends, what was recorded is shown ----
# shown CODE WORDS-ON-STDERR WORDS-OF-THE-FIRST-LINE STEPS ARGUMENT...: its stdout is left in $dir/stdout.
shown() {
  local code=$1 error=$2 heading=$3 words=$4 got=0; shift 4
  timeout 60 "$iotrace" "$@" > "$dir/stdout" 2> "$dir/stderr" || got=$?
  [ "$got" -eq "$code" ] || fail "exit $got instead of $code: $*: $(cat "$dir/stderr")"
  if [ -n "$error" ]; then grep -q -- "$error" "$dir/stderr"; else [ ! -s "$dir/stderr" ]; fi || fail "$*: said $(cat "$dir/stderr")"
  head -n 1 "$dir/stdout" | found -- "$heading" || fail "$*: not '$heading': $(head -n 1 "$dir/stdout")"
  grep -q -- "$words" "$dir/stdout" || fail "'$words' is not in $(cat "$dir/stdout")"
}
for flow in switch callback; do
  # A read that fails: its own memory has no page 0.
  shown 1 'Input/output error' ' 0 bytes in 0 reads' 'resume() with I/O result \[EIO: Input/output error\]' flow $flow /proc/self/mem
  shown 1 'Input/output error' sequenceDiagram 'io_uring_submit().*µs\]' flow $flow /proc/self/mem --format=mermaid
  # A read for which nothing comes. The writer is there, and writes what it is told to.
  sleep 60 > "$dir/fifo" & writer=$!
  shown 1 'nothing came for 1 s; start the FIFO' ' 0 bytes in 0 reads' 'result \[ECANCELED' flow $flow "$dir/fifo" --timeout 1
  kill $writer
  { for _ in $(seq 10); do cat "$dir/file"; read -rt 0.02 <> <(:) || :; done; exec sleep 60; } > "$dir/fifo" & writer=$!
  shown 1 'nothing came for 2 s' '; the first 4 and the unfinished one are shown and [0-9]* not' 'result \[ECANCELED' \
    flow $flow "$dir/fifo" --timeout 2 --chunk 3
  kill $writer
  # Something that has no end: N reads, or a signal.
  # A read of /dev/zero that may not wait is short when its thread is to give its processor to another one.
  shown 0 '' ' [0-9]* bytes in 3 reads of at most 65536 bytes; ended by --reads' 'result \[[0-9]* bytes\]' flow $flow /dev/zero --reads 3
  for signal in INT TERM; do
    yes > "$dir/fifo" & writer=$!
    env --default-signal=INT "$iotrace" flow $flow "$dir/fifo" > "$dir/stdout" & reader=$!
    # A megabyte has been written: far more than the pipe holds, so it has been read.
    while kill -0 $reader && ! grep -q '^wchar: [0-9]\{7\}' /proc/$writer/io; do :; done
    kill -$signal $reader
    wait $reader || fail "$signal: exit $?"
    kill $writer 2> /dev/null || :
    head -n 1 "$dir/stdout" | found "; ended by SIG$signal; the first 4 .*are shown" || fail "$signal: $(head -n 1 "$dir/stdout")"
    [ "$(grep -c 'co_await async_read()' "$dir/stdout")" -ge 4 ] || fail "$signal: not shown"
  done
done
# A FIFO that nobody has opened for writing: kernels differ in whether already its open waits, or only the read.
code=0; timeout 60 "$iotrace" flow switch "$dir/fifo" --timeout 1 > "$dir/stdout" 2> "$dir/stderr" || code=$?
[ $code -eq 1 ] && grep -q 'nothing came for 1 s; start the FIFO' "$dir/stderr" || fail "no writer: $code $(cat "$dir/stderr")"
"$iotrace" flow switch "$dir/fifo" > "$dir/stdout" 2> "$dir/stderr" & reader=$!
until grep -q '^SigBlk:.0000000000004002$' /proc/$reader/status; do :; done  # it holds SIGINT and SIGTERM back
kill -TERM $reader
code=0; wait $reader || code=$?
{ [ $code -eq 1 ] && grep -q 'SIGTERM came before the first read' "$dir/stderr"; } ||
  { [ $code -eq 0 ] && grep -q 'ended by SIGTERM' "$dir/stdout"; } || fail "a signal too early: $code $(cat "$dir/stderr")"
# The advice is about a FIFO only where there is one. Nothing is ever written to this terminal.
if [ -c /dev/ptmx ]; then
  shown 1 'nothing came for 1 s; raise --timeout$' ' 0 bytes in 0 reads' 'result \[ECANCELED' flow switch /dev/ptmx --reads 1 --timeout 1
fi
refused 1 'No space left' flow switch "$dir/file" -o /dev/full
refused 2 '^usage: iotrace flow .*iotrace --help explains'
refused 2 '^usage:' flow switch
refused 2 '^usage:' flow switch a b
refused 2 'not .sideways.' flow sideways "$dir/file"
refused 2 'unknown option' flow switch "$dir/file" --frobnicate
refused 2 'needs a value' flow switch "$dir/file" --chunk
for bad in 0 -1 x 1x '' 99999999999999999999; do refused 2 '--chunk is' flow switch "$dir/file" --chunk "$bad"; done
for bad in 0 -1 x; do refused 2 '--reads is' flow switch "$dir/file" --reads "$bad"; done
refused 2 '-o needs' flow switch "$dir/file" -o ''
refused 2 'unknown option' flow switch "$dir/file" --chunky=3
refused 2 '--format is' flow switch "$dir/file" --format=
refused 2 '--timeout is' flow switch "$dir/file" --timeout 0
refused 2 '--format is' flow switch "$dir/file" --format xml
# A program that is not root may not read everything.
chmod 000 "$dir/file"
iotrace=$unprivileged refused 1 'Permission denied' flow switch "$dir/file"
echo "endings, names, caps and refusals as promised"
