#!/usr/bin/env bash
# kernels_test.sh ROOT — scripts/kernels.sh says what it cannot do, and counts what a machine said; no machine is started here.
set -euo pipefail
root=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
[ "$(dpkg --print-architecture 2> /dev/null)" = amd64 ] || { echo "skipped: only for amd64"; exit 77; }

# A copy without anything built, whose programs are one of our own each.
mkdir -p "$dir/bin" "$dir/root/build/release/bin" "$dir/root/tests"
cp -r "$root/scripts" "$dir/root/"
printf 'corering_test(io_test a.cpp)\ncorering_test(core_test b.cpp)\ncorering_test(house_test c.cpp)\n' > "$dir/root/tests/CMakeLists.txt"
stub() { printf '#!/bin/sh\n%s\n' "$2" > "$dir/bin/$1"; chmod +x "$dir/bin/$1"; }
stub dpkg-query 'echo installed'
stub cmake 'exit 0'
stub apt-get 'echo "no network" >&2; exit 100'
stub apt-cache 'exit 0'
for name in corering iotrace io_test core_test; do cp /bin/true "$dir/root/build/release/bin/$name"; done
kernels() { env PATH="$dir/bin:$PATH" CORERING_KERNELS="$dir/kernels" "$dir/root/scripts/kernels.sh" "$@"; }
says() { local status=$1 text=$2 got=0; shift 2; kernels "$@" > "$dir/out" 2>&1 < /dev/null || got=$?; [ "$got" -eq "$status" ] && grep -qF -- "$text" "$dir/out" || fail "kernels.sh $*: status $got, said: $(cat "$dir/out")"; }

for wrong in six 6 --slow 6.1.0 a_test ""; do says 1 "'$wrong' is neither a series of kernels" "$wrong"; done
says 77 "skipped: 6.1: apt knows no such kernel;6.12: apt knows no such kernel"
stub dpkg-query 'exit 1'
says 77 "skipped: what makes the machines cannot be installed" 6.1
stub dpkg-query 'echo installed'
stub apt-cache 'echo "linux-image-9.9.7-amd64 - a kernel"; echo "linux-image-9.9.10-amd64 - a kernel"; echo "linux-image-9.9.11-cloud-amd64 - no"'
says 77 "skipped: 9.9: linux-image-9.9.10-amd64 cannot be downloaded: no network" 9.9

# ---- what a machine said: here a script says it ----
package=$dir/kernels/linux-image-9.9.10-amd64
mkdir -p "$package/lib/modules/9.9.10" "$package/boot"; touch "$package/complete" "$package/boot/vmlinuz-9.9.10"
stub cpio 'cat > /dev/null'; for tool in busybox depmod modprobe mke2fs; do stub $tool 'exit 0'; done
said() { printf '%s\n' "$@" > "$dir/said"; stub qemu-system-x86_64 "echo start >> $dir/starts; cat $dir/said"; rm -f "$dir/starts"; }
said "@@ up 9.9.10" "@@ doctor 0 6 of 28" "@@ flow switch 0 4" "@@ flow callback 0 0" "@@ passed 3" "@@ skipped A.b" "@@ passed 4" "@@ end"
says 0 "| linux-image-9.9.10-amd64 | ok, 6 of 28 | ok, 4 not observed | ok | 7 | 0 | 1 | " 9.9
[ "$(wc -l < "$dir/starts")" -eq 1 ] || fail "a good machine was started twice"
said "@@ up 9.9.10" "@@ doctor 1 0 of 28" "@@ flow switch 137 0" "@@ flow callback 0 0" "@@ failed A.b" "@@ hung C.d/1" "@@ passed 1" "@@ end"
says 1 "| linux-image-9.9.10-amd64 | FAILED, 0 of 28 | hung | ok | 1 | 2 | 0 | " 9.9 io_test
for name in "corering doctor" "iotrace flow switch" "A.b failed" "C.d/1 hung"; do grep -qF "linux-image-9.9.10-amd64: $name" "$dir/out" || fail "does not name: $name"; done
said "@@ up 9.9.10" "@@ doctor 0 6 of 28" "@@ passed 1"
says 1 "linux-image-9.9.10-amd64: the machine did not come to its end" 9.9
said "Kernel panic - not syncing"
says 1 "linux-image-9.9.10-amd64: the machine stopped: Kernel panic - not syncing" 9.9
grep -q "did not start, and gets a second try" "$dir/out" && [ "$(wc -l < "$dir/starts")" -eq 2 ] || fail "a machine that did not start got no second try"
# One kernel that passes does not hide another that could not be tried.
stub apt-cache 'case $* in *linux-image-9*) echo "linux-image-9.9.10-amd64 - a kernel";; esac'
said "@@ up 9.9.10" "@@ doctor 0 6 of 28" "@@ passed 1" "@@ end"
says 77 "skipped: 8.8: apt knows no such kernel" 9.9 8.8
echo "kernels.sh counts as it should"
