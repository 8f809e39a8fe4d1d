#!/usr/bin/env bash
# scripts/kernels.sh [--quick] [SERIES...] [TEST-PROGRAM...] — the doctor, both flows and the tests on Debian's own kernels; SERIES: 6.1 6.12
# A series is its newest kernel that apt knows. If none is named, it is 6.1 and 6.12. If no test program is named, it is all that have
# to do with the kernel; --quick leaves out those that have least to do with it. QEMU emulates the machine. So it needs no support by
# the hardware, and no rights, except to install QEMU. On two processors a kernel takes five minutes, and with --quick three.
# It prints a table, and leaves what each machine said in build/kernels. The status is 0 if all is well, and 1 if something failed.
# It is 77 if nothing failed, but a kernel could not be tried; the last line is the reason. CORERING_KERNELS names another folder.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/environment.sh"
cd "$top"
PATH+=:/usr/sbin:/sbin  # mke2fs and depmod, for those who are not root

quick=
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
all_series=() named=
for word in "$@"; do
  if [[ $word =~ ^[0-9]+\.[0-9]+$ ]]; then all_series+=("$word")
  elif grep -q "^ *corering_test($word " tests/CMakeLists.txt; then named+="$word "
  else die "'$word' is neither a series of kernels, as 6.1 or 6.12, nor a test program, as io_test"; fi
done
[ ${#all_series[@]} -gt 0 ] || all_series=(6.1 6.12)
skip() { printf 'skipped: %s\n' "$1"; exit 77; }

# Test programs that have nothing to do with the kernel, and those that an emulated processor needs many minutes for.
left_out='house_test layering_test tools_test load_client_test load_test stress_test'
# conformance_test and emulation_test are about Linux 6.12 and newer: docs/KERNELS.md lists what they find on 6.1.
[ -z "$quick" ] || left_out+=' base_test engine_test core_test life_test allocation_failure_test sync_test cancel_test'
[ -z "$quick" ] || left_out+=' conformance_test emulation_test'
# Single tests that count to a million, or that wait for what an emulated processor cannot do in time.
too_slow='Races.*:Stop.at_each_of_500*:StreamSocket.sends_more_than_four*:Posts.*:Timers.a_million*'
suite=$(sed -n 's/^ *corering_test(\([a-z_]*\).*/\1/p' tests/CMakeLists.txt | grep -vxF "${left_out// /$'\n'}" | tr '\n' ' ')
suite=${named:-$suite}
silence=60       # seconds without a word from a test program, after which it hangs
boot_limit=150   # seconds until the first program must have started
limit=$((quick ? 420 : 1800))  # seconds for one machine

work=${CORERING_KERNELS:-$top/build/kernels}
mkdir -p "$work"
machine=
trap '[ -z "$machine" ] || kill -KILL "$machine" 2> /dev/null; rm -rf "$work"/stage.* "$work"/disk.*' EXIT

# ---- what the machines are made of ----

# newest SERIES: the name of its newest kernel package.
newest() {
  apt-cache search --names-only "^linux-image-${1//./\\.}\.[0-9].*-amd64\$" | awk '$1 !~ /-(cloud|rt)-/ {print $1}' | sort -V | tail -n 1
}

update_lists() {
  if [ "$(id -u)" -eq 0 ]; then apt-get update; else sudo apt-get update; fi > "$work/download.log" 2>&1
}

# unpacked PACKAGE: downloads it, unless it is there, and prints the folder.
unpacked() {
  local folder=$work/$1
  if [ ! -e "$folder/complete" ]; then
    rm -rf "$folder"; mkdir -p "$folder"
    (cd "$folder" && apt-get download "$1" && dpkg-deb -x ./*.deb . && rm -f ./*.deb && touch complete) > "$work/download.log" 2>&1 || return 1
  fi
  printf '%s\n' "$folder"
}

# first_stage FOLDER OUT: the archive that the kernel starts with. It loads what reaches the disk, and goes on there.
first_stage() {
  local stage base=$1 version module number=100
  stage=$(mktemp -d "$work/stage.XXXXXX")
  [ -d "$base/lib/modules" ] || base=$1/usr
  version=$(ls "$base/lib/modules")
  mkdir -p "$stage"/{bin,modules,proc,sys,dev,disk}
  cp "$(command -v busybox)" "$stage/bin/"
  depmod -b "$base" "$version" 2> /dev/null
  # crc32c is a module on some kernels and built in on others. What is missing shows when the disk cannot be mounted.
  for module in virtio_pci virtio_blk crc32c ext4; do modprobe -d "$base" -S "$version" --show-depends "$module" 2> /dev/null || true; done |
    awk '$1 == "insmod" && !seen[$2]++ {print $2}' > "$stage/list"
  while read -r module; do
    number=$((number + 1))  # they are loaded in this order
    case $module in
      *.xz) xz -dc "$module" ;;
      *.zst) zstd -qdc "$module" ;;
      *) cat "$module" ;;
    esac > "$stage/modules/$number.ko"
  done < "$stage/list"
  cat > "$stage/init" << 'END'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
$b mount -t ext4 -o noatime /dev/vda /disk || { echo "@@ no disk"; $b poweroff -f; }
for folder in dev proc sys; do $b mount --move "/$folder" "/disk/$folder"; done
exec $b switch_root /disk /bin/sh /job.sh
END
  chmod +x "$stage/init"
  (cd "$stage" && find . | cpio --quiet -o -H newc | gzip -1) > "$2"
  rm -rf "$stage"
}

# The second half of a machine: what it does after the start. Lines that begin with @@ are for `digest`, below.
job() {
  printf 'too_slow=%q suite=%q silence=%q program=%q\n' "$too_slow" "$suite" "$silence" "$top/build/release/bin"
  cat << 'END'
export PATH=/bin HOME=/root GTEST_DEATH_TEST_STYLE=threadsafe GTEST_COLOR=no
mount -t tmpfs tmpfs /run; mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts; mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
ulimit -n 4096
# gets_on COMMAND...: runs it, with its output in /run/out, and kills it when it says nothing for too long.
gets_on() {
  rm -f /run/code
  (sh -c 'echo $$ > /run/pid; exec "$@"' sh "$@" > /run/out 2>&1 < /dev/null; echo $? > /run/code) &
  quiet=0 size=-1
  until [ -s /run/code ]; do
    sleep 1
    now=$(stat -c %s /run/out)
    if [ "$now" = "$size" ]; then quiet=$((quiet + 1)); else quiet=0 size=$now; fi
    [ $quiet -lt $silence ] || kill -KILL "$(cat /run/pid)"
  done
  return "$(cat /run/code)"
}
echo  # the firmware leaves half a line
echo "@@ up $(uname -r)"
gets_on $program/corering doctor; code=$?; cat /run/out
echo "@@ doctor $code $(grep -c '^ *ok .* Linux [0-9.]*$' /run/out) of $(sed -n 's/^Of what is newer.*, \([0-9]*\) things.*/\1/p' /run/out)"
for flow in switch callback; do
  gets_on $program/iotrace flow $flow $program/corering --reads 2; code=$?; cat /run/out
  echo "@@ flow $flow $code $(grep -c 'not observed' /run/out)"
done
for test in $suite; do
  begin=$(cut -d. -f1 /proc/uptime)
  $program/$test --gtest_list_tests --gtest_filter="-$too_slow" |
    awk '/^[^ ].*\.( |$)/ {suite = $1} /^  / {print suite $1}' > /run/left
  # After a crash it goes on with the tests that come after it.
  while [ -s /run/left ]; do
    echo "--gtest_filter=$(tr '\n' ':' < /run/left)" > /run/flags
    gets_on $program/$test --gtest_flagfile=/run/flags; code=$?
    # After the last line of a test or its summary, the names are repeated: only the first count.
    awk -v test=$test -v code=$code '
      /^\[ RUN      \]/ {running = $4; text = ""; next}
      running != "" && /^\[       OK \]/ {ok++; print running > "/run/seen"; running = ""; next}
      running != "" && /^\[  SKIPPED \]/ {print "@@ skipped " running; printf "%s", text; print running > "/run/seen"; running = ""; next}
      running != "" && /^\[  FAILED  \]/ {printf "%s", text; print "@@ failed " running; print running > "/run/seen"; running = ""; next}
      {text = text $0 "\n"}
      END {
        if (running != "") {printf "%s", text; print "@@ " (code == 137 ? "hung" : "crashed") " " running; print running > "/run/seen"}
        else if (code > 1) {printf "%s", text; print "@@ crashed " test " (at its end, status " code ")"}
        print "@@ passed " ok + 0
      }' /run/out
    [ -e /run/seen ] || { echo "@@ crashed $test (before its first test, status $code)"; cat /run/out; break; }
    awk 'NR == FNR {seen[$1]; next} !($1 in seen)' /run/seen /run/left > /run/rest
    rm /run/seen; mv /run/rest /run/left
  done
  echo "@@ ended $test $(($(cut -d. -f1 /proc/uptime) - begin))"
done
dmesg | grep -E 'BUG:|Oops|WARNING:|general protection' | sed 's/^/@@ kernel /'
echo "@@ end"
poweroff -f
END
}

# disk OUT: the programs with their libraries, and the sources, which some tests read, at the same places as here.
disk() {
  local folder name library programs=()
  folder=$(mktemp -d "$work/disk.XXXXXX")
  mkdir -p "$folder"/{bin,etc,proc,sys,dev,tmp,run,root} "$folder$top/build/release/bin"
  cp "$(command -v busybox)" "$folder/bin/"
  for name in $(busybox --list); do [ "$name" = busybox ] || ln -s busybox "$folder/bin/$name"; done
  for name in corering iotrace $suite; do programs+=("build/release/bin/$name"); done
  cp "${programs[@]}" "$folder$top/build/release/bin/"
  ldd "${programs[@]}" | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r library; do
    install -D "$(readlink -f "$library")" "$folder$library"
  done
  tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$folder$top"
  echo 'root:x:0:0::/root:/bin/sh' > "$folder/etc/passwd"
  echo '127.0.0.1 localhost' > "$folder/etc/hosts"
  job > "$folder/job.sh"
  rm -f "$1"
  truncate -s 1G "$1"
  mke2fs -q -F -t ext4 -d "$folder" "$1"
  rm -rf "$folder"
}

# ---- a machine ----

# run_machine FOLDER LOG: until it switches itself off, or until its time is over. 1: it never got as far as the first program.
run_machine() {
  local begin=$SECONDS ended told=0 programs
  programs=$(wc -w <<< "$suite")
  : > "$2"  # what the last run left would count until the machine is there
  # Two processors, which do not drift. A busy host makes the kernel doubt its timers, hence tsc and no_timer_check.
  qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2G -nodefaults -nographic -no-reboot -monitor none -serial stdio \
    -kernel "$(find "$1" -name 'vmlinuz*' | sed -n 1p)" -initrd "$work/first_stage" \
    -drive "file=$work/disk,if=virtio,format=raw,snapshot=on" \
    -append 'console=ttyS0 panic=-1 quiet mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on' \
    < /dev/null > "$2" 2>&1 & machine=$!
  while kill -0 "$machine" 2> /dev/null; do
    ended=$(grep -c '^@@ ended' "$2" || true)
    if [ "$ended" -gt $told ]; then
      told=$ended
      printf '%s: %d of %d test programs, %d s\n' "$(basename "$1")" "$ended" "$programs" $((SECONDS - begin)) >&2
    fi
    if [ $((SECONDS - begin)) -gt $limit ]; then break; fi
    if [ $((SECONDS - begin)) -gt $boot_limit ] && ! grep -q '^@@ up' "$2"; then break; fi
    sleep 1
  done
  kill -KILL "$machine" 2> /dev/null || true
  wait "$machine" 2> /dev/null || true
  machine=
  grep -q '^@@ up' "$2"
}

# digest PACKAGE LOG SECONDS: one line of the table, and the names of what failed in $work/failures. 1: something failed.
digest() {
  tr -d '\r' < "$2" | awk -v package="$1" -v seconds="$3" -v failures="$work/failures" '
    function told(status) {return status == 0 ? "ok" : status == 137 ? "hung" : "FAILED"}
    function bad(what) {failed++; print package ": " what >> failures}
    $1 != "@@" {if (/Kernel panic/) panic = $0; next}
    $2 == "up" {kernel = $3}
    $2 == "doctor" {doctor = told($3) ", " $4 " of " $6; if ($3) bad("corering doctor")}
    $2 == "flow" {flow[$3] = told($4) ($5 ? ", " $5 " not observed" : ""); if ($4) bad("iotrace flow " $3)}
    $2 == "passed" {passed += $3}
    $2 == "skipped" {skipped++}
    $2 == "failed" || $2 == "crashed" || $2 == "hung" {name = $0; sub(/^@@ [a-z]+ /, "", name); bad(name " " $2); tests++}
    $2 == "kernel" {sub(/^@@ kernel /, ""); bad("the kernel said: " $0)}
    $2 == "no" {bad("its disk cannot be mounted")}
    $2 == "end" {end = 1}
    END {
      if (!end) bad(panic ? "the machine stopped: " panic : kernel == "" ? "did not start" : "the machine did not come to its end")
      printf "| %s | %s | %s | %s | %d | %d | %d | %d s |\n", package, doctor, flow["switch"], flow["callback"], passed, tests, skipped, seconds
      exit failed > 0
    }'
}

# ---- all of them ----

[ "$(dpkg --print-architecture 2> /dev/null)" = amd64 ] || skip "the kernels that are tried here are Debian's for amd64"
(need qemu-system-x86 busybox-static cpio kmod xz-utils zstd e2fsprogs) || skip "what makes the machines cannot be installed"
# Before the minutes of building: whether there is anything to try.
for series in "${all_series[@]}"; do [ -n "$(newest "$series")" ] || { update_lists || true; break; }; done
folders=() missing=()
for series in "${all_series[@]}"; do
  package=$(newest "$series")
  if [ -z "$package" ]; then missing+=("$series: apt knows no such kernel"); continue; fi
  if folder=$(unpacked "$package"); then folders+=("$folder"); else missing+=("$series: $package cannot be downloaded: $(tail -n 1 "$work/download.log")"); fi
done
reasons() { local IFS=';'; echo "${missing[*]}"; }
[ ${#folders[@]} -gt 0 ] || skip "$(reasons)"

need_build_tools libgtest-dev
build release iotrace corering_program $suite
disk "$work/disk"
: > "$work/failures"
bad=0
echo "| kernel | doctor | switch | callback | passed | failed | skipped | time |"
echo "|---|---|---|---|---|---|---|---|"
for folder in "${folders[@]}"; do
  package=$(basename "$folder") log=$folder.log begin=$SECONDS
  first_stage "$folder" "$work/first_stage"
  rm -f "$folder.first.log"
  # An emulated machine on a busy host sometimes dies while it starts. That says nothing about us, so it gets a second try.
  if ! run_machine "$folder" "$log"; then
    echo "$package did not start, and gets a second try; what it said is in $folder.first.log" >&2
    mv "$log" "$folder.first.log"
    run_machine "$folder" "$log" || true
  fi
  digest "$package" "$log" $((SECONDS - begin)) || bad=1
done
cat "$work/failures"
for reason in ${missing[@]+"${missing[@]}"}; do echo "not tried: $reason"; done
[ $bad -eq 0 ] || exit 1
[ ${#missing[@]} -eq 0 ] || skip "$(reasons)"
