#!/usr/bin/env bash
# doctor_test.sh CORERING IOTRACE — tests `corering doctor` here and with things hidden. (Where io_uring is forbidden: without_io_uring_test.sh.)
set -euo pipefail
doctor=$(realpath "$1") iotrace=$(realpath "$2")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
fail() { echo "FAILED: $1"; [ ! -s "$dir/out" ] || cat "$dir/out"; exit 1; }

"$doctor" doctor > "$dir/out" || fail "it does not work here"
grep -q "corering can be used here" "$dir/out" || fail "no verdict"
grep -q "ok  ring .*a worker runs, with .*SUBMIT_ALL" "$dir/out" || fail "no ring"

# What the mask hides is listed as missing, with what stands in for it. The rest is as before.
"$doctor" doctor --json > "$dir/before"
CORERING_MASK=bind,futex_wait,defer_taskrun "$doctor" doctor --json > "$dir/after" || fail "it works without these, too"
python3 - "$dir/before" "$dir/after" > "$dir/out" 2>&1 <<'CHECK' || fail "the JSON is not as expected"
import json, sys
before, after = (json.load(open(name)) for name in sys.argv[1:])
assert before["usable"] is True and after["usable"] is True
there = lambda report: {one["name"]: one["there"] for one in report["optional"]}
hidden = {"bind", "futex_wait", "defer_taskrun"}
for name, was_there in there(before).items():
    assert there(after)[name] == (was_there and name not in hidden), name
instead = {one["name"]: one["instead"] for one in after["optional"]}
assert "bind(2)" in instead["bind"] and instead["futex_wait"] == ""
states = {one["name"]: one for one in after["findings"]}
assert states["mask"]["state"] == "worse" and states["mask"]["advice"]
assert set(states["ring"]) == {"name", "state", "says", "advice"}
CHECK
code=0; CORERING_MASK=nonsense "$doctor" doctor > "$dir/out" || code=$?
[ $code -eq 1 ] && grep -q "names 'nonsense'" "$dir/out" || fail "a wrong name in the mask: exit $code"

for arguments in "" "nurse" "doctor --yaml" "doctor --json more"; do
  code=0; "$doctor" $arguments > "$dir/out" 2>&1 || code=$?
  [ $code -eq 2 ] && grep -q "^usage: corering doctor" "$dir/out" || fail "'$arguments': exit $code"
done
for ask in --help -h "doctor --help"; do
  "$doctor" $ask > "$dir/out" 2> "$dir/err" || fail "$ask: exit $?"
  head -n 1 "$dir/out" | found "^usage: corering doctor" && [ ! -s "$dir/err" ] || fail "$ask does not go to the standard output"
done
"$doctor" --version > "$dir/out" && grep -qx 'corering [0-9.]*' "$dir/out" || fail "--version"
code=0; "$doctor" --help > /dev/full 2> "$dir/out" || code=$?
[ $code -eq 1 ] || fail "--help on a full disk: exit $code"
# What comes from outside never makes the terminal do anything, and JSON stays JSON.
code=0; CORERING_MASK=$'bad\x1b[31m\x9b' "$doctor" doctor > "$dir/out" || code=$?
[ $code -eq 1 ] && grep -q 'names .bad\\x1b\[31m\\x9b' "$dir/out" || fail "a control character in the mask"
CORERING_MASK=$'bad\x1b\xff' "$doctor" doctor --json > "$dir/out" || :
python3 -c 'import json,sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$dir/out" || fail "JSON of a strange mask"

# ---- which kernel workers use ----
allowed=yes; CORERING_KERNEL=io_uring "$doctor" doctor > "$dir/out" || allowed=no
for choice in emulated $([ $allowed = no ] || echo io_uring auto); do
  CORERING_KERNEL=$choice "$doctor" doctor > "$dir/out" || fail "$choice: exit $?"
  grep -q "ok  emulation .*it works" "$dir/out" || fail "$choice: the emulation was not tried"
  if [ $choice = emulated ]; then
    head -n 1 "$dir/out" | found "can be used here, on the emulation" || fail "the verdict does not name the emulation"
    grep -q "!   kernel .*emulation.*because CORERING_KERNEL is emulated" "$dir/out" || fail "no reason for the emulation"
    grep -q "ok  trace .*emulation" "$dir/out" || fail "iotrace watches the emulation"
  else
    grep -q "ok  kernel .*workers use io_uring$" "$dir/out" || fail "$choice: another kernel"
  fi
  CORERING_KERNEL=$choice "$doctor" doctor --json | found "\"kernel\": \"io_uring$([ $choice != emulated ] || echo ', emulated')\"" ||
    fail "$choice: JSON names another kernel"
done
code=0; CORERING_KERNEL=windows "$doctor" doctor > "$dir/out" || code=$?
[ $code -eq 1 ] && grep -A 1 "XX  kernel .*names 'windows'" "$dir/out" | found "io_uring, emulated or auto" || fail "a wrong kernel: exit $code"

# ---- the kernel's tracepoints are tried, not guessed: what it says is what iotrace finds ----
cp "$doctor" "$dir/corering"; cp "$iotrace" "$dir/iotrace"; printf x > "$dir/file"
chmod 755 "$dir" "$dir/corering" "$dir/iotrace"; chmod 644 "$dir/file"
agrees() { # AS...: the doctor and iotrace, run as somebody, agree. Leaves the finding in $finding.
  local seen
  finding=$("$@" "$dir/corering" doctor --json | python3 -c 'import json,sys
print(next("%(state)s: %(says)s -> %(advice)s" % one for one in json.load(sys.stdin)["findings"] if one["name"] == "trace"))')
  seen=$("$@" "$dir/iotrace" flow callback "$dir/file" --format json | grep -c '"step": "completed".*"observed": true' || :)
  if [ "$seen" -eq 1 ]; then [[ $finding = fine:* ]]; else [[ $finding = worse:*cannot*-\>* ]]; fi || fail "iotrace saw $seen, but: $finding"
}
agrees env
whole=$finding
if [ "$(id -u)" -eq 0 ]; then
  plain="setpriv --reuid=65534 --regid=65534 --clear-groups"
  agrees $plain
  # CAP_PERFMON does not make tracefs readable.
  if $plain --inh-caps=+perfmon --ambient-caps=+perfmon true 2> /dev/null; then
    agrees $plain --inh-caps=+perfmon --ambient-caps=+perfmon
    [[ $finding = fine:* || $finding = *tracefs*CAP_PERFMON\ alone\ is\ not\ enough* ]] || fail "CAP_PERFMON: $finding"
  fi
  # Root without these rights, as in a container, is not asked for its name.
  agrees setpriv --bounding-set=-all --inh-caps=-all
fi

code=0; "$doctor" doctor > /dev/full 2> "$dir/out" || code=$?
[ $code -eq 1 ] || fail "a full disk: exit $code"

# Where perf_event_open(2) is refused, it says so, and what to do.
if [[ $whole = fine:* && $whole != *emulation* ]] && command -v strace > /dev/null && strace -f -o /dev/null true 2> /dev/null; then
  ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e inject=perf_event_open:error=EACCES "$doctor" doctor > "$dir/out" || fail "without perf: exit $?"
  grep -A 1 '!   trace .*perf_event_open(2) is refused (Permission denied)' "$dir/out" | found 'CAP_PERFMON' || fail "perf was refused"
fi

# Where waits end late, both doctors say so in one line, and what to do. (strace delays
# the return of the first enters of each thread.)
"$doctor" doctor > "$dir/out" || fail "no doctor"
grep -q "ok  timers .*does not hold up waits: .* the worst [0-9.]* ms" "$dir/out" || fail "nothing about waits"
"$iotrace" doctor > "$dir/out" || :
grep -q "timers .*does not hold up waits" "$dir/out" || fail "iotrace says nothing about waits"
# Where no worker can run, nothing was tried. That is not fine. (The other doctor says then that nothing works.)
CORERING_REPLAY=$dir/none "$iotrace" doctor > "$dir/out" 2>&1 || :
grep -A 1 '!   timers .*was not tried: no worker can run (.*)' "$dir/out" | found -- '-> ' || fail "nothing was tried"
if [ "$("$doctor" kernel)" = io_uring ] && command -v strace > /dev/null && strace -f -o /dev/null true 2> /dev/null; then
  for command in "$doctor" "$iotrace"; do
    code=0; ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e inject=io_uring_enter:delay_exit=150000:when=1..40 "$command" doctor > "$dir/out" || code=$?
    grep -A 1 '!   timers .*of ten waits of 10 ms ended 100 ms late or more, the worst [0-9.]* ms' "$dir/out" | found -- '-> run another kernel' ||
      fail "$command: late waits: exit $code"
  done
fi

echo "the doctor is well"
