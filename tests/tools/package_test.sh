#!/usr/bin/env bash
# package_test.sh CMAKE SOURCES LIBRARY COMPILER SANITIZERS CHECKS: the installed package is found, also where its headers have
# another folder; it says what is missing; and a build that would go wrong is refused or mentioned at the start.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
source "$(dirname "$0")/support.sh"
cmake=$1 sources=$2 library=$3 compiler=$4 sanitizers=$5 checks=$6
[ "$sanitizers" != none ] || sanitizers=
parts="-DCORERING_TESTS=OFF -DCORERING_TOOLS=OFF -DCORERING_EXAMPLES=OFF -DCORERING_BENCH=OFF"

# ---- installed ----
expect 0 "building Release" "$cmake" -S "$sources" -B "$dir/build" -DCMAKE_CXX_COMPILER="$compiler" $parts \
  -DCORERING_SANITIZE="$sanitizers" -DCORERING_CHECKS="$checks" -DCMAKE_INSTALL_INCLUDEDIR=include/of/corering
cp "$library" "$dir/build/libcorering.a"  # as if it had been built there
expect 0 corering-config.cmake "$cmake" --install "$dir/build" --prefix "$dir/prefix"
[ -f "$dir/prefix/include/of/corering/corering/corering.hpp" ] || fail "the headers are not where they belong"

# ---- used ----
mkdir "$dir/user"
cat > "$dir/user/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
find_package(corering ${how})
message(STATUS "corering was found: ${corering_FOUND}")
if(corering_FOUND)
  add_executable(user user.cpp)
  target_link_libraries(user PRIVATE corering::corering)
endif()
END
cat > "$dir/user/user.cpp" << 'END'
#include <corering/core/run.hpp>
corering::Task<int> seven() { co_return 7; }
int main() { return corering::run(seven()).value_or(0) == 7 ? 0 : 1; }
END
use() { expect "$1" "$2" "$cmake" -S "$dir/user" -B "$dir/used" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$dir/prefix" "-Dhow=$3"; }
use 0 "corering was found: 1" REQUIRED
expect 0 user "$cmake" --build "$dir/used"
"$dir/used/user" || fail "the program that uses the package says $?"

# ---- without liburing ----
rm -rf "$dir/used"
export PKG_CONFIG_LIBDIR="$dir/none"
use 0 "corering was found: 0" QUIET
use 1 "corering needs liburing 2.3 or newer" REQUIRED
unset PKG_CONFIG_LIBDIR

# ---- with a compiler that is too old ----
for old in "GNU 11.4" "Clang 14.0"; do
  expect 1 "$old" "$cmake" -D "CMAKE_CXX_COMPILER_ID=${old% *}" -D "CMAKE_CXX_COMPILER_VERSION=${old#* }" -P "$sources/cmake/compiler.cmake"
  for what in "too old" "install one" clang-19 g++-12; do
    tr -s ' \n' ' ' < "$dir/out" | found -F -- "$what" || fail "it does not say what to do ($what): $(cat "$dir/out")"
  done
done
# One that needs care gets a line about that. (A script cannot try the compiler, so it ends with an error after that.)
"$cmake" -D CMAKE_CXX_COMPILER_ID=GNU -D CMAKE_CXX_COMPILER_VERSION=12.2 -P "$sources/cmake/compiler.cmake" > "$dir/out" 2>&1 || :
grep -q "scripts/check_gcc12.sh" "$dir/out" || fail "nothing is said about g++ 12: $(cat "$dir/out")"
