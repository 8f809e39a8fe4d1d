#!/usr/bin/env bash
# scripts/memcheck.sh [SEEDS] — lets Valgrind's memcheck watch SEEDS seeds (400) of the simulated world, and the tests of that world.
# Whatever it reports fails: a use of what is not there or was never written, and memory that nobody gives back.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/environment.sh"
cd "$top"
seeds=${1:-400}
case $seeds in '' | 0* | *[!0-9]*) die "usage: scripts/memcheck.sh [SEEDS]" ;; esac
need_build_tools valgrind
build release sim_explore sim_test
watch() { valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect "$@"; }
status=0
watch build/release/bin/sim_explore 2001 "$seeds" | sed -n '1,3p;$p' || status=1
# A case that dies on purpose has its own process, which Valgrind does not follow.
watch build/release/bin/sim_test --gtest_brief=1 || status=1
exit $status
