#!/usr/bin/env bash
# version_test.sh — sources that were compiled with the headers of another version do not link, and the linker says why.
# Usage: version_test.sh SOURCE_DIRECTORY LIBRARY COMPILER
set -euo pipefail
source_dir=$1 library=$2 compiler=$3
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap 'rm -rf "$dir"' EXIT

number=$(sed -n 's/^project(corering VERSION \([0-9.]*\).*/\1/p' "$source_dir/CMakeLists.txt")
grep -q "_of_version_${number//./_}\$" "$source_dir/include/corering/base/version.hpp" ||
  fail "CMakeLists.txt says version $number, and base/version.hpp another one"

cp -r "$source_dir/include" "$dir/other"
sed -i 's/_of_version_.*/_of_version_99_1_2/' "$dir/other/corering/base/version.hpp"
echo '#include <corering/base/result.hpp>' > "$dir/one.cpp"
{ cat "$dir/one.cpp"; echo 'int main() {}'; } > "$dir/main.cpp"
"$compiler" -std=c++23 -c -I "$source_dir/include" "$dir/main.cpp" -o "$dir/main.o"
"$compiler" -std=c++23 -c -I "$source_dir/include" "$dir/one.cpp" -o "$dir/same.o"
"$compiler" -std=c++23 -c -I "$dir/other" "$dir/one.cpp" -o "$dir/other.o"
"$compiler" "$dir/main.o" "$dir/same.o" "$library" -luring -pthread -o "$dir/program"
expect 1 need_the_library_of_version_99_1_2 "$compiler" "$dir/main.o" "$dir/other.o" "$library" -luring -pthread -o "$dir/program"
echo "ok"
