#!/usr/bin/env bash
# fs_examples_test.sh BIN — cat, cp, watch_dir and sharded_counter compared with the system's own tools.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
command -v fio > /dev/null || { echo "skipped: fio is not installed"; exit 77; }
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

# cat reads files, standard input, and both. It reads and writes files, pipes, and a pipe that nobody reads.
for size in 0 1 65536 5000001; do
  head -c $size /dev/urandom > "$dir/file"
  "$bin/cat" "$dir/file" | cmp - "$dir/file" || fail "cat of $size bytes"
  "$bin/cat" < "$dir/file" > "$dir/copy" || fail "cat of standard input: $?"
  cmp "$dir/file" "$dir/copy" || fail "cat from a file to a file"
done
printf 'middle' | "$bin/cat" "$dir/file" - "$dir/file" > "$dir/copy" || fail "cat of three: $?"
{ cat "$dir/file"; printf 'middle'; cat "$dir/file"; } | cmp - "$dir/copy" || fail "cat of three"
expect 1 "No such file or directory" "$bin/cat" "$dir/none"
expect 1 "Is a directory" "$bin/cat" "$dir"
code=0; "$bin/cat" "$dir/file" "$dir/file" 2> "$dir/out" | head -c 10 > /dev/null || code=${PIPESTATUS[0]}
[ $code -eq 1 ] && grep -q "Broken pipe" "$dir/out" || fail "cat into a closed pipe: $code, $(cat "$dir/out")"
code=0; "$bin/cat" "$dir/file" > /dev/full 2> "$dir/out" || code=$?
[ $code -eq 1 ] && grep -q "No space left" "$dir/out" || fail "cat to a full disk: $code"

# cp copies a tree of many files, verified by sha256sum, and permissions. It names what it cannot copy.
mkdir -p "$dir/tree/a/b/c" "$dir/tree/empty"
for i in $(seq 60); do head -c $((i * i * 97)) /dev/urandom > "$dir/tree/a/file$i"; done
head -c 3000000 /dev/urandom > "$dir/tree/a/b/c/large"
printf x > "$dir/tree/name with spaces"; chmod 751 "$dir/tree/name with spaces"
expect 0 "62 files" "$bin/cp" "$dir/tree" "$dir/tree2"
[ "$(sums "$dir/tree")" = "$(sums "$dir/tree2")" ] || fail "the trees differ"
[ -d "$dir/tree2/empty" ] || fail "an empty directory is missing"
[ "$(stat -c %a "$dir/tree2/name with spaces")" = 751 ] || fail "permissions are not copied"
expect 0 "62 files" "$bin/cp" "$dir/tree" "$dir/tree2"  # over it
ln -s nowhere "$dir/tree/link"
expect 1 "neither a file nor a directory" "$bin/cp" "$dir/tree" "$dir/tree3"
[ "$(sums "$dir/tree")" = "$(sums "$dir/tree3")" ] || fail "the rest of the tree is not copied"
expect 0 "1 files, 3000000 bytes" "$bin/cp" "$dir/tree/a/b/c/large" "$dir/large"
cmp "$dir/tree/a/b/c/large" "$dir/large" || fail "cp of one file"
expect 1 "No such file or directory" "$bin/cp" "$dir/none" "$dir/x"
expect 1 "Invalid argument" "$bin/cp" "$dir/large" "$dir/large"
[ "$(stat -c %s "$dir/large")" = 3000000 ] || fail "a file copied onto itself is gone"
expect 2 "usage: cp FROM TO" "$bin/cp" "$dir/large"

# fio writes blocks with checksums. After our programs have read and written them, fio finds them again.
verified() { fio --name=job --filename="$1" --size=8M --bs=4k --verify=crc32c --verify_state_save=0 "${@:2}" \
                 > "$dir/out" 2>&1 || fail "fio: $(tail -n 5 "$dir/out")"; }
verified "$dir/fio" --rw=randwrite --do_verify=0
"$bin/cat" "$dir/fio" > "$dir/fio.cat" || fail "cat: $?"
expect 0 "1 files, 8388608 bytes" "$bin/cp" "$dir/fio" "$dir/fio.cp"
for copy in fio.cat fio.cp; do verified "$dir/$copy" --rw=randwrite --verify_only; done

# watch_dir prints what happens, in order.
mkdir "$dir/watched"
start "$bin/watch_dir" "$dir/watched"; watcher=$server
wait_for "watch_dir: watching"
printf x > "$dir/watched/one"; mv "$dir/watched/one" "$dir/watched/two"; rm "$dir/watched/two"
for event in "one created" "one modified" "one moved away" "two moved here" "two deleted"; do
  wait_for "$dir/watched/$event"
done
[ "$(grep -n 'one created' "$dir/log" | cut -d: -f1)" -lt "$(grep -n 'two deleted' "$dir/log" | cut -d: -f1)" ] || fail "out of order"
stop "$watcher" INT
expect 1 "No such file or directory" "$bin/watch_dir" "$dir/none"
expect 2 "usage: watch_dir" "$bin/watch_dir"

# sharded_counter prints the same as sort and uniq.
for i in $(seq 3000); do echo "word$((i % 97)) again  $((i % 7)) word$((i % 31))"; done > "$dir/words"
timeout 60 "$bin/sharded_counter" < "$dir/words" > "$dir/counted" || fail "sharded_counter: $?"
tr -s ' ' '\n' < "$dir/words" | LC_ALL=C sort | uniq -c > "$dir/expected"
cmp "$dir/expected" "$dir/counted" || fail "it counts otherwise than uniq"
[ -z "$("$bin/sharded_counter" < /dev/null)" ] || fail "it counts words in nothing"
echo "4 programs keep their promises"
