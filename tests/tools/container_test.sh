#!/usr/bin/env bash
# container_test.sh LAUNCHER BIN [HIDDEN] — as in a hardened container: no io_uring, no rights, one processor; HIDDEN: no /proc and no tracefs.
set -euo pipefail
launcher=$1 bin=$2 hides=${3:-}
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
skip() { echo "skipped: $1"; exit 77; }
for tool in setpriv taskset unshare fio curl nc socat python3; do command -v $tool > /dev/null || skip "$tool is not installed"; done
unset CORERING_KERNEL  # who says nothing takes what there is

# ---- the container ----
# The programs and the tests lie where everybody may read them.
chmod 755 "$dir"
mkdir "$dir/bin" "$dir/tools"
mkdir -m 1777 "$dir/tmp"
programs=(read_switch read_callback cat cp echo tcp_proxy udp_echo http_hello watch_dir sharded_counter pipeline crash_test graceful_server
          timeout race in_epoll iotrace corering)
tests=(examples_test fs_examples_test net_examples_test http_example_test "guest_examples_test in_epoll")
[ ! -x "$bin/in_asio" ] || { programs+=(in_asio); tests+=("guest_examples_test in_asio"); }
for program in "${programs[@]}"; do ln "$bin/$program" "$dir/bin" 2> /dev/null || cp "$bin/$program" "$dir/bin"; done
cp "$(dirname "$0")"/*.sh "$dir/tools"; cp "$launcher" "$dir/without_io_uring"
chmod -R a+rX "$dir/bin" "$dir/tools" "$dir/without_io_uring"

# $dir/contained COMMAND...: it has no rights, one processor, and no io_uring.
contained=$dir/contained
processor=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
nobody="--no-new-privs --inh-caps=-all --ambient-caps=-all"
[ "$(id -u)" -ne 0 ] || nobody+=" --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all"
hidden=
if [ -n "$hides" ]; then
  spaces=--mount
  [ "$(id -u)" -eq 0 ] || spaces+=" --map-current-user --keep-caps"
  cover='mount -t tmpfs -o mode=755 none /proc && mount -t tmpfs -o mode=755 none /sys'
  unshare $spaces sh -c "$cover" > "$dir/log" 2>&1 || skip "this machine does not let /proc be hidden: $(tail -n 1 "$dir/log")"
  hidden="unshare $spaces sh -c '$cover && exec \"\$@\"' sh"
fi
printf '#!/bin/sh\nTMPDIR=%s HOME=/nonexistent exec %s taskset -c %s setpriv %s %s "$@"\n' \
  "$dir/tmp" "$hidden" "$processor" "$nobody" "$dir/without_io_uring" > "$contained"
chmod 755 "$contained"
"$contained" true 2> "$dir/log" || skip "no container can be made here: $(tail -n 1 "$dir/log")"
if ! "$contained" "$dir/bin/corering" --version > "$dir/log" 2>&1; then
  [ -z "$hides" ] || skip "this build does not start without /proc: $(head -n 1 "$dir/log")"
  fail "no program of ours starts in the container"
fi
expect 0 "processors: 1, rights: 0, proc: $([ -n "$hides" ] && echo none || echo there)" "$contained" python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class Header(ctypes.Structure): _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
rights = (ctypes.c_uint32 * 6)()
assert libc.capget(ctypes.byref(Header(0x20080522, 0)), rights) == 0
assert libc.syscall(425, 1, 0) == -1 and ctypes.get_errno() == 1, "io_uring is allowed"
print("processors: %d, rights: %d, proc: %s" % (len(os.sched_getaffinity(0)), sum(rights), "there" if os.path.exists("/proc/self") else "none"))'

# ---- what works as ever ----
expect 0 "here, on the emulation" "$contained" env CORERING_KERNEL=auto "$dir/bin/corering" doctor
grep -q "ok  seccomp .*a filter is installed" "$dir/out" || fail "the doctor does not see the filter: $(cat "$dir/out")"
[ -z "$hides" ] || found "ok  sysctl .*there is no /proc" "$dir/out" || fail "the doctor does not miss /proc: $(cat "$dir/out")"
head -c 300000 /dev/urandom > "$dir/tmp/file"
for flow in switch callback; do
  expect 0 "; kernel: io_uring, emulated (io_uring is refused: Operation not permitted)" "$contained" "$dir/bin/iotrace" flow $flow "$dir/tmp/file"
  [ "$(grep -c '^ *[0-9.-]* *Kernel (io_uring, emulated)' "$dir/out")" -ge 2 ] || fail "$flow: the kernel was not seen: $(cat "$dir/out")"
  ! grep -q "cannot be observed" "$dir/out" || fail "$flow: $(cat "$dir/out")"
  for reader in read_switch read_callback; do
    [ "$("$contained" "$dir/bin/$reader" "$dir/tmp/file" 2> "$dir/log" | sha256sum)" = "$(sha256sum < "$dir/tmp/file")" ] || fail "$reader: other bytes"
  done
done
# The tests of the examples are the same as outside: sha256sum, fio --verify, curl, nc and socat compare what went through.
for test in "${tests[@]}"; do
  set -- $test
  code=0
  "$contained" "$dir/tools/$1.sh" "$dir/bin" "${@:2}" > "$dir/log" 2>&1 < /dev/null || code=$?
  [ $code -ne 77 ] || skip "$1: $(tail -n 1 "$dir/log")"
  [ $code -eq 0 ] || fail "$test ended with $code"
done
echo "${#tests[@]} tests and iotrace work as outside the container"
