#!/usr/bin/env bash
# record_test.sh IOTRACE — iotrace record and attach: every operation of fio is joined, exit codes are passed on, and nothing is left behind.
set -euo pipefail
iotrace=$(realpath "$1"); page=$(realpath "$(dirname "$0")/../../docs/WATCH_FIO.md")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
cd "$dir"

# ---- what needs no privileges: options, exit codes, signals ----
expect 125 "usage: iotrace record" "$iotrace" record
expect 125 "usage: iotrace record" "$iotrace" record --
expect 125 "unknown option '--smaple'" "$iotrace" record --smaple 1/4 -- true
expect 125 "--sample is 1/2, 1/4" "$iotrace" record --sample 1/3 -- true
expect 125 "--buffer is a number of bytes" "$iotrace" record --buffer lots -- true
expect 125 "-o needs a value" "$iotrace" record -o
expect 0 "usage: iotrace record" "$iotrace" record --help
expect 0 "usage: iotrace attach" "$iotrace" attach --help
expect 2 "usage: iotrace attach" "$iotrace" attach
expect 2 "usage: iotrace attach" "$iotrace" attach one
expect 125 "No such process" "$iotrace" attach 2147483647
expect 127 "no-such-program: No such file or directory" "$iotrace" record -- no-such-program
expect 126 "Permission denied" "$iotrace" record -- /etc/passwd
expect 126 "Not a directory" "$iotrace" record -- /etc/passwd/x
[ ! -e trace.crt ] || fail "a program that never began left a trace"
expect 0 "" "$iotrace" record -o a.crt -- true
for code in 0 1 2 7 125 127 255; do expect $code "" "$iotrace" record -o a.crt -- sh -c "exit $code"; done
for signal in HUP:129 INT:130 KILL:137 TERM:143; do
  expect "${signal#*:}" "" "$iotrace" record -o a.crt -- python3 -c "import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIG${signal%:*})"
done
expect 125 "No such file or directory" "$iotrace" record -o nowhere/a.crt -- sh -c 'echo run > run'
[ ! -e run ] || fail "the program ran although its trace could not be written"
echo precious > notes
expect 125 "no trace file" "$iotrace" record -o notes -- true
grep -qx precious notes || fail "a file that is no trace was overwritten"
# The program's output is its own, and its input, too.
[ "$(echo hello | "$iotrace" record -o a.crt -- cat 2>/dev/null)" = hello ] || fail "the program's output"
# A signal for iotrace is for the program.
"$iotrace" record -o a.crt -- sh -c 'trap "exit 9" TERM; echo up > up; while :; do sleep 0.05; done' 2> log &
recorder=$!
for _ in $(seq 200); do [ ! -e up ] || break; sleep 0.05; done
kill -TERM $recorder
code=0; wait $recorder || code=$?
[ $code -eq 9 ] || fail "SIGTERM did not reach the program: exit $code"

# ---- the doctor: what it says is what a recording finds ----
doctor=0; "$iotrace" doctor > log || doctor=$?
"$iotrace" record -o a.crt -- true 2> said
if grep -q "not observed" said; then [ $doctor -eq 1 ] && grep -q -- "->" log; else [ $doctor -eq 0 ]; fi || fail "the doctor: exit $doctor"
{ "$iotrace" doctor --json || :; } | python3 -c 'import json, sys; assert [one["name"] for one in json.load(sys.stdin)["findings"]] == "program kernel threads cost timers".split()' || fail "the doctor's JSON"
expect 2 "usage: iotrace doctor" "$iotrace" doctor --loud

# ---- who may not see the kernel is told so, and the program runs ----
if [ "$(id -u)" -eq 0 ]; then
  cp "$iotrace" "$dir/iotrace"; mkdir open; chmod 755 "$dir" "$dir/iotrace"; chmod 777 open
  code=0; setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/iotrace" record -o open/t.crt -- true 2> log || code=$?
  [ $code -eq 0 ] && grep -q "not observed: what the kernel does, because .*; run iotrace as root" log || fail "no reason: exit $code"
fi

# ---- fio ----
command -v fio > /dev/null || { echo "fio is not there: skipped"; exit 77; }
kernel=$(CORERING_KERNEL=${CORERING_KERNEL:-auto} "$(dirname "$iotrace")/corering" kernel 2> /dev/null)
[[ $kernel != *emulated* ]] || { echo "fio needs io_uring, and here it is $kernel: skipped"; exit 77; }
"$iotrace" record -o a.crt -- true 2> log
if grep -q "not observed: what the kernel does" log; then sed -n 's/.*\(not observed.*\)/\1: skipped/p' log | first_line; exit 77; fi
fio() { # fio NAME OPTION...: the same reads, recorded; what fio says is in NAME.json, what iotrace says in NAME.log
  local name=$1; shift
  timeout 100 "$iotrace" record -o "$name.crt" "${record[@]}" -- fio --name=read --filename=data --size=16M --bs=4k --rw=randread \
    --ioengine=io_uring --output-format=json --output="$name.json" --lat_percentiles=1 --percentile_list=50:90 "$@" 2> "$name.log"
}
record=()
head -c 16777216 /dev/zero > data; sync data
# compare NAME DEPTH: the operations are fio's; at depth 1 the times, too
compare() {
  python3 - "$1" "$2" <<'CHECK' || fail "$1: $(cat "$1.log")"
import json, re, sys
name, depth = sys.argv[1], int(sys.argv[2])
text = open(name + ".json").read()
read = json.loads(text[text.index("{"):])["jobs"][0]["read"]
log = open(name + ".log").read()
joined, began, lost = map(int, re.search(r"(\d+) of (\d+) operations? joined with their end; (\d+) reports? lost", log).groups())
assert lost == 0, "lost"
assert joined == began == read["total_ios"], (joined, began, read["total_ios"])
scale = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}
line = next(line for line in log.splitlines() if re.match(r"\s+read\s", line))
times = {p: float(value) * scale[unit] for p, value, unit in re.findall(r"(p\d+) ([\d.]+) (ns|µs|ms|s)\b", line)}
cost = re.search(r"watching costs (.*?) of processor time for each operation: (.*?) in the program", log)
fio = read["lat_ns"]["percentile"]
print(f"{name}: {joined} operations, all joined; p50 {times['p50']/1e3:.1f} µs (fio {fio['50.000000']/1e3:.1f}), "
      f"p90 {times['p90']/1e3:.1f} µs (fio {fio['90.000000']/1e3:.1f}); watching costs {cost[1]} an operation, {cost[2]} of it in the program")
# fio's own percentiles are those of buckets, which are 1.6 % wide.
if depth == 1:
    for mine, theirs in ("p50", "50.000000"), ("p90", "90.000000"):
        assert times[mine] <= fio[theirs] * 1.02, "longer than fio says"
        # fio itself takes about 2 µs of what it measures. A disk's time is long enough for that not to matter.
        if name.startswith("direct"):
            assert times[mine] >= fio[theirs] * 0.9, "more than 10 % below fio"
CHECK
  # The trace file has them, too.
  "$iotrace" stat "$1.crt" > stat || fail "stat $1.crt: exit $?"
  grep -qx "read: 4096 operations" stat || fail "$1.crt: $(cat stat)"
}
for depth in 1 8 32; do
  fio cached$depth --iodepth=$depth --invalidate=0; compare cached$depth $depth
  fio async$depth --iodepth=$depth --force_async=1; compare async$depth $depth
  if fio direct$depth --iodepth=$depth --direct=1; then compare direct$depth $depth; else echo "O_DIRECT is refused here: not tried"; fi
done

# A sample is smaller, and says that it is one.
record=(--sample 1/4); fio sample --iodepth=32; record=()
grep -q "a sample: only operations with one of 4 values" sample.log || fail "it does not say that it is a sample"
# What is lost is said, and the exit code says it, too.
record=(--buffer 4096); code=0; fio lost --iodepth=32 --invalidate=0 || code=$?; record=()
if [ $code -eq 124 ]; then
  grep -q "[1-9][0-9]* reports lost" lost.log && grep -q "the trace is incomplete" lost.log || fail "incomplete, and does not say so"
  echo "a page of room: $(grep -o '.*lost$' lost.log)"
else
  [ $code -eq 0 ] && compare lost 32
fi

# ---- the page docs/WATCH_FIO.md: its commands run in this order ----
commands=$(awk '/^```sh/ { shown = 1; next } /^```/ { shown = 0 } shown' "$page")
[ "$(wc -l <<< "$commands")" -eq 6 ] || fail "the page shows other commands than this test knows"
while IFS= read -r command; do
  (cd "$dir" && timeout 100 env PATH="$(dirname "$iotrace"):$PATH" bash -c "$command") > said 2>&1 < /dev/null || fail "$command: $(cat said)"
done <<< "$commands"
"$iotrace" why 100 fio.crt | found "of the program.* in flight when it began" || fail "why: $("$iotrace" why 100 fio.crt)"
"$iotrace" why 100 fio.crt | found "It is not built with corering" || fail "why does not say what it cannot know"

# ---- attach ----
env fio --name=read --filename=data --size=16M --bs=4k --rw=randread --ioengine=io_uring --thread --time_based --runtime=90 \
  --output=/dev/null & busy=$!
servers+=("$busy"); trap clean_up EXIT
for _ in $(seq 600); do ls -l /proc/$busy/fd | found io_uring && break; sleep 0.05; done
code=0; "$iotrace" attach "$busy" --for 3 -o attached.crt 2> log || code=$?
kill -INT $busy; wait $busy || :
[ $code -eq 0 ] || [ $code -eq 124 ] || fail "attach: exit $code"
grep -q "[1-9][0-9]* of [1-9][0-9]* operations joined" log || fail "attached, and saw nothing"
[ -s attached.crt ] || fail "no trace"
echo "attached: $(head -n 1 log)"
# It ends when the process does, and when it is told to.
sleep 0.5 & "$iotrace" attach $! -o gone.crt 2> log || fail "the process has ended: exit $?"
