#!/usr/bin/env bash
# probes_test.sh PROBED_PROGRAM SOURCES — the USDT probes are in the binary with their arguments, and the bpftrace scripts count exactly.
set -euo pipefail
program=$(realpath "$1"); scripts=$(realpath "$2")/tools/bpftrace; schema=$(realpath "$2")/include/corering
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
cd "$dir"

# ---- the scripts know every kind of operation and wait by the name that the library has for it ----
names() { sed -n "/$2/,/};/p" "$schema/$1" | grep -o "$3" | tr -d '",' | sort; }
known() { grep -o '@name\[[0-9]*\] = "[a-z0-9_]*"' "$scripts/$1" | sed 's/.*"\(.*\)"/\1/' | sort; }
diff <(names uring/uapi.hpp 'opcode_names = ' '"[a-z0-9_]*"') <(known operations.bt) || fail "operations.bt lacks a name, or has one too many"
diff <(sed -n '/enum class WaitFor/,/};/p' "$schema/trace/event_schema.hpp" | sed -n 's/^  \([a-z_]*\),.*/\1/p' | sort) <(known waits.bt) ||
  fail "waits.bt lacks a name, or has one too many"

# ---- the binary ----
command -v readelf > /dev/null || { echo "readelf is not there (Debian package binutils): skipped"; exit 77; }
readelf -n "$program" > notes
grep -q stapsdt notes || { echo "built without sys/sdt.h (Debian package systemtap-sdt-dev), so there are no probes: skipped"; exit 77; }
# Four arguments each: a byte, and three words. All have the same semaphore, which is not zero.
awk '/Provider: corering/ {ours = 1} /Name:/ && ours {name = $2} /Semaphore:/ && ours {semaphore = $NF}
     /Arguments:/ && ours {print name, semaphore, NF - 1; ours = 0; for (i = 2; i <= NF; ++i) {split($i, part, "@"); printf "%s ", part[1]}; print ""}' notes > probes
sed -n '/kind_names = /,/};/p' "$schema/trace/event_schema.hpp" | grep -o '"[a-z_]*"' | tr -d '"' | sort > kinds
diff kinds <(awk 'NR % 2 {print $1}' probes | sort -u) || fail "not each kind of event has its probe"
[ "$(awk 'NR % 2 {print $2}' probes | sort -u | wc -l)" -eq 1 ] && ! grep -q ' 0x0000000000000000 ' probes || fail "the semaphore: $(cat probes)"
[ "$(awk 'NR % 2 == 0' probes | sed 's/-//g' | sort -u)" = "1 8 8 8 " ] || fail "the arguments: $(cat probes)"

# ---- nobody looks: nothing is recorded ----
"$program" 10 1

# ---- bpftrace ----
command -v bpftrace > /dev/null || { echo "bpftrace is not there: skipped"; exit 77; }
[ "$(id -u)" -eq 0 ] || { echo "bpftrace needs root: skipped"; exit 77; }
timeout 60 bpftrace -e 'BEGIN { printf("bpf works\n"); exit(); }' > log 2>&1 || :
grep -q "bpf works" log || { echo "bpftrace does not work here: $(head -n 1 log): skipped"; exit 77; }
look() { # look SCRIPT ARGUMENT...
  local script=$1; shift
  timeout 100 bpftrace "$scripts/$script" "$program" "$@" -c "$program 777 5" > log 2>&1 || :
}
look operations.bt
grep -qx '@operations\[nop\]: 777' log || fail "operations.bt did not count 777 nops"
grep -qx '@operations\[openat\]: 1' log || fail "operations.bt did not count the open"
grep -qx '@failures\[openat, 2\]: 1' log || fail "operations.bt did not see that it failed"
look waits.bt
grep -qx '@waits\[time\]: 5' log || fail "waits.bt did not count 5 sleeps"
look stalls.bt 30
grep -q 'ran for [0-9]* us without a call of the kernel' log || fail "stalls.bt did not see the stall"

# ---- a program that runs already is looked at from now on; when nobody looks any more, it records nothing more ----
"$program" 100 1000000 & pid=$!
trap '{ kill -9 $pid; wait $pid; } 2> /dev/null || :; rm -rf "$dir"' EXIT
timeout 100 bpftrace -e "usdt:/proc/$pid/exe:corering:wait_ends { @seen++; if (@seen >= 10) { exit(); } }" -p $pid > log 2>&1 || :
grep -q '@seen: [0-9]*' log || fail "nothing was seen of a program that ran already"
wishes() { od -An -tu4 -j 4096 -N 4 "$(find /proc/$pid/fd -lname '*corering-trace*' | first_line)" | tr -d ' '; }
for _ in $(seq 600); do [ "$(wishes)" != 0 ] || break; sleep 0.05; done
[ "$(wishes)" = 0 ] || fail "it records although nobody looks any more"
