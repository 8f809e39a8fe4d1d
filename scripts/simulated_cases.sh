#!/usr/bin/env bash
# simulated_cases.sh BUILD — says how many cases of the suite run in a simulated world, too. It fails if fewer than half of them do.
# A case counts once, however many kernels it runs on. Those of sim_test run in worlds only.
set -euo pipefail
build=${1:?simulated_cases.sh BUILD}
# ctest writes a new log wherever it is asked, and the log of the run that this is part of has to stay.
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
printf 'subdirs("%s")\n' "$(cd "$build" && pwd)" > "$here/CTestTestfile.cmake"
names=$(ctest -N --test-dir "$here" | sed -nE 's/^ *Test +#[0-9]+: //p; s/^ *Test +#[0-9]+ *: //p' | sed -E 's/ +#.*(\/simulated)$/\1/; s/ +#.*//')
cases=$(grep -cvE '/(emulated|simulated)$' <<< "$names" || true)
again=$(grep -cE '/simulated$' <<< "$names" || true)
only=$("$build/bin/sim_test" --gtest_list_tests | grep -c '^  ' || true)
printf '%d of %d cases run simulated, too\n' $((again + only)) "$cases"
[ "$cases" -gt 1000 ] || { echo "error: ctest has told no cases: is $build built?" >&2; exit 1; }
[ $((2 * (again + only))) -ge "$cases" ] || { echo "error: that is less than half: see tests/simulated.txt" >&2; exit 1; }
