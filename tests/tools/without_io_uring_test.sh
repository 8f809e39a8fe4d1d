#!/usr/bin/env bash
# without_io_uring_test.sh LAUNCHER BIN — under a real seccomp filter, as in a stock container, our programs say why they cannot work.
set -euo pipefail
launcher=$1 bin=$2
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
unset CORERING_KERNEL  # each part says which kernel it asks for

# answer CALL: errno of that system call with arguments that a working one would refuse; a launcher may stand before it.
answer() {
  local call=$1; shift
  "$@" python3 -c 'import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
print("worked" if libc.syscall(int(sys.argv[1]), -1, None, 0, 0, None, 0) >= 0 else errno.errorcode[ctypes.get_errno()])' "$call"
}
"$launcher" true 2> "$dir/log" || { grep -q "no seccomp filter" "$dir/log" && { cat "$dir/log"; exit 77; }; fail "true under the filter"; }

# ---- the three system calls are refused, for children too, and their neighbours are not ----
for call in 425 426 427; do
  [ "$(answer $call "$launcher")" = EPERM ] || fail "call $call: $(answer $call "$launcher")"
  [ "$(answer $call "$launcher" --enosys)" = ENOSYS ] || fail "call $call with --enosys"
  [ "$(answer $call "$launcher" sh -c 'env "$@"' sh)" = EPERM ] || fail "call $call of a child"
done
for call in 424 428 39; do  # pidfd_send_signal, open_tree, and one that always works
  [ "$(answer $call "$launcher")" = "$(answer $call)" ] || fail "call $call is not as without the filter"
done

# ---- other programs see no difference ----
head -c 3000000 /dev/urandom > "$dir/file"
"$launcher" cat < "$dir/file" | cmp -s - "$dir/file" || fail "the standard input or output"
[ "$(A='of the caller' "$launcher" --enosys sh -c 'printf "%s|" "$A" "$@"' sh 'two words' '' --enosys)" = 'of the caller|two words||--enosys|' ] ||
  fail "the arguments or the environment"
for status in 0 1 77 255; do expect $status "" "$launcher" sh -c "echo; exit $status"; done
[ "$(sh -c '"$@"; echo $?' sh "$launcher" sh -c 'kill -TERM $$' 2> /dev/null)" = 143 ] || fail "ended by a signal"

# ---- what cannot be run is one line ----
one_line() { [ "$(wc -l < "$dir/out")" -eq 1 ] || fail "not one line: $(cat "$dir/out")"; }
for wrong in "" "--enosys" "--unknown true" "--enosys --enosys true"; do expect 125 "usage: without_io_uring" "$launcher" $wrong; one_line; done
expect 0 "usage: without_io_uring" "$launcher" --help; one_line
expect 127 "without_io_uring: $dir/missing: No such file or directory" "$launcher" "$dir/missing"; one_line
expect 126 "without_io_uring: $dir/file: Permission denied" "$launcher" "$dir/file"; one_line

# ---- programs that ask for io_uring itself end at once with one sentence that names both usual causes, and the way out ----
for option in "" --enosys; do
  why=$([ -n "$option" ] && echo "Function not implemented" || echo "Operation not permitted")
  for program in "iotrace flow switch" "iotrace flow callback" read_switch cat; do
    expect 1 "seccomp" env CORERING_KERNEL=io_uring "$launcher" $option "$bin/"$program "$dir/file"; one_line
    grep -q "kernel.io_uring_disabled" "$dir/out" || fail "$program $option: it does not name both causes: $(cat "$dir/out")"
    grep -q "CORERING_KERNEL=auto" "$dir/out" || fail "$program $option: it does not name the way out: $(cat "$dir/out")"
  done
  # iotrace takes the emulation by itself, says so and why, and has seen every line that a worker's kernel draws.
  for flow in switch callback; do
    expect 0 "; kernel: io_uring, emulated (io_uring is refused: $why)" "$launcher" $option "$bin/iotrace" flow $flow "$dir/file" --reads 1
    [ "$(grep -c '^ *[0-9.-]* *Kernel (io_uring, emulated)' "$dir/out")" -eq 2 ] || fail "$flow $option: the kernel was not seen: $(cat "$dir/out")"
  done
  # The doctor still prints a whole report.
  expect 1 "corering cannot be used here" "$launcher" $option "$bin/corering" doctor
  grep -q "seccomp profile.*io_uring_disabled" "$dir/out" || fail "doctor $option: it does not name both causes"
  grep -q "nofile" "$dir/out" || fail "doctor $option: the rest is missing"
  expect 1 '"usable"' "$launcher" $option "$bin/corering" doctor --json
  python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["usable"] is False' "$dir/out" || fail "doctor $option: JSON"
  # It knows the way out, and that it works.
  expect 1 "can run with CORERING_KERNEL=auto" "$launcher" $option "$bin/corering" doctor
  grep -q "ok  emulation" "$dir/out" || fail "doctor $option: the emulation does not work: $(cat "$dir/out")"
  expect 0 "here, on the emulation" env CORERING_KERNEL=auto "$launcher" $option "$bin/corering" doctor
  grep -q "!   kernel .*emulation.*refused ($why)" "$dir/out" || fail "doctor $option: no reason: $(cat "$dir/out")"
  expect 0 "here, on the emulation" env CORERING_KERNEL=emulated "$launcher" $option "$bin/corering" doctor
  expect 0 '"usable": true, "kernel": "io_uring, emulated"' env CORERING_KERNEL=auto "$launcher" $option "$bin/corering" doctor --json
done

# ---- the examples and ./run take the emulation by themselves, say so once, and do the same ----
for option in "" --enosys; do
  why=$([ -n "$option" ] && echo "Function not implemented" || echo "Operation not permitted")
  for program in read_switch read_callback cat; do
    "$launcher" $option "$bin/$program" "$dir/file" > "$dir/copy" 2> "$dir/out" || fail "$program $option: $(cat "$dir/out")"
    cmp -s "$dir/file" "$dir/copy" || fail "$program $option: other bytes"
    one_line
    grep -q "^corering: io_uring cannot be used here ($why).*emulation" "$dir/out" || fail "$program $option: said $(cat "$dir/out")"
  done
done
# ./run with our own iotrace. What it needs for building is there, and there is nothing left to build.
mkdir -p "$dir/tree/scripts" "$dir/tree/build/release/bin" "$dir/path"
root=$(cd "$(dirname "$0")/../.." && pwd)
cp "$root/run" "$root/README.md" "$dir/tree"; cp "$root/scripts/environment.sh" "$dir/tree/scripts"
ln -s "$(realpath "$bin/iotrace")" "$dir/tree/build/release/bin/iotrace"
printf '#!/bin/sh\nprintf installed\n' > "$dir/path/dpkg-query"
printf '#!/bin/sh\n' > "$dir/path/cmake"
chmod 755 "$dir/path/"*
for option in "" --enosys; do
  expect 0 "Switch to Worker: " env PATH="$dir/path:$PATH" "$launcher" $option "$dir/tree/run"
  head -n 1 "$dir/out" | found "^Switch to Worker: .*; kernel: io_uring, emulated (io_uring is refused: " || fail "./run $option: first line: $(head -n 1 "$dir/out")"
  [ "$(grep -c "; kernel: io_uring, emulated" "$dir/out")" -eq 2 ] || fail "./run $option: not both flows: $(cat "$dir/out")"
  ! grep -q "cannot be observed" "$dir/out" || fail "./run $option: $(cat "$dir/out")"
done
echo "refused as in a container, and said so; on the emulation everything works"
