#!/usr/bin/env bash
# bytes_test.sh BIN — what both flows read is what the file holds, at every awkward size.
set -euo pipefail
bin=$1
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
for size in 0 1 4095 4096 4097 1048577 314572800; do
  head -c "$size" /dev/urandom > "$dir/file"
  [ "$(stat -c %s "$dir/file")" -eq "$size" ]
  want=$(sha256sum < "$dir/file")
  for reader in read_switch read_callback; do
    got=$("$bin/$reader" "$dir/file" | sha256sum)
    [ "$got" = "$want" ] || { echo "$reader: $size bytes came out different"; exit 1; }
  done
  for flow in switch callback; do
    "$bin/iotrace" flow $flow "$dir/file" --format json | found "\"bytes\": $size," ||
      { echo "iotrace flow $flow: did not read $size bytes"; exit 1; }
  done
done
echo "2 programs and 2 flows agree with sha256sum at 7 sizes"
