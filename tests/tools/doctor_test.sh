#!/usr/bin/env bash
# doctor_test.sh CORERING — tests `corering doctor` here, with things hidden, and where io_uring is forbidden.
set -euo pipefail
doctor=$1
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
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
code=0; "$doctor" doctor > /dev/full 2> "$dir/out" || code=$?
[ $code -eq 1 ] || fail "a full disk: exit $code"

# Where io_uring is forbidden, it exits with 1, names both usual causes, and still prints a whole report.
if command -v strace > /dev/null && strace -f -o /dev/null true 2> /dev/null; then
  for error in EPERM ENOSYS; do
    code=0; ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e inject=io_uring_setup:error=$error "$doctor" doctor > "$dir/out" || code=$?
    if [ $code -eq 0 ]; then echo "tracing did not reach the program"; break; fi
    [ $code -eq 1 ] || fail "$error: exit $code"
    grep -q "corering cannot be used here" "$dir/out" || fail "$error: no verdict"
    grep -q "seccomp profile.*io_uring_disabled" "$dir/out" || fail "$error: it does not name both causes"
    grep -q "nofile" "$dir/out" || fail "$error: the rest is missing"
    code=0; ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e inject=io_uring_setup:error=$error "$doctor" doctor --json > "$dir/out" || code=$?
    python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["usable"] is False' "$dir/out" || fail "$error: JSON"
  done
fi
echo "the doctor is well"
