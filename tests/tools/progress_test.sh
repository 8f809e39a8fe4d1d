#!/usr/bin/env bash
# progress_test.sh ENVIRONMENT — what ./run and ./test show while they build and test, in a log and on a terminal.
set -euo pipefail
environment=$1; shift
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
command -v script > /dev/null || { echo "SKIPPED: script(1) is not there, which makes a terminal"; exit 77; }

# The commands of environment.sh run with stand-ins for cmake and ctest.
mkdir "$dir/bin"
cat > "$dir/bin/cmake" << 'END'
#!/usr/bin/env bash
if [ "$1" = --preset ]; then echo "-- Configuring done"; exit; fi
for i in $(seq 40); do echo "[$i/40] Building CXX object tests/CMakeFiles/some_test.dir/core/some_${i}_test.cpp.o"; done
[ -n "${BROKEN:-}" ] || { printf '[40/40] Linking CXX executable bin/some_test'; exit; }
echo "FAILED: some.o"; echo "some.cpp:1:1: error: no such thing"; exit 1
END
cat > "$dir/bin/ctest" << 'END'
#!/usr/bin/env bash
echo "Test project /somewhere"
for i in 1 2 3 4; do
  echo "      Start  $i: Suite.test_$i"
  case $i in
    2) echo " 2/4 Test #2: Suite.test_2 ............***Failed    0.01 sec"; echo "some_test.cpp:7: Failure"; echo "[1/2] not a step" ;;
    3) echo " 3/4 Test #3: Suite.test_3 ............***Skipped   0.01 sec" ;;
    *) echo " $i/4 Test #$i: Suite.test_$i ............   Passed    0.01 sec" ;;
  esac
done
echo "50% tests passed, 1 tests failed out of 4"
exit 8
END
cat > "$dir/command" << END
set -euo pipefail
set --
. "$environment"
progress_first=0 progress_interval=0
"\${COMMAND[@]}"
END
chmod +x "$dir/bin/cmake" "$dir/bin/ctest"
# in_a_log STATUS COMMAND and on_a_terminal STATUS COMMAND run it, and leave what is seen in $dir/out.
in_a_log() { seen "$1" "$2" bash "$dir/now"; }
on_a_terminal() { TERM=xterm seen "$1" "$2" script -qec "stty cols 50; bash '$dir/now'" /dev/null; }
seen() {
  local status=$1 command=$2 got=0; shift 2
  printf 'COMMAND=(%s)\n' "$command" | cat - "$dir/command" > "$dir/now"
  PATH=$dir/bin:$PATH timeout 60 "$@" > "$dir/out" 2>&1 < /dev/null || got=$?
  [ "$got" -eq "$status" ] || fail "$command: status $got: $(cat -A "$dir/out")"
}
says() { grep -qE -- "$1" "$dir/out" || fail "never said: $1 in: $(cat -A "$dir/out")"; }
says_nothing_of() { ! grep -qE -- "$1" "$dir/out" || fail "said $1: $(cat -A "$dir/out")"; }

in_a_log 0 "build release some_test"
says '^building release: 7 of 40, [0-9]+ s: built tests/core/some_7_test.cpp$'
says '^building release: 40 of 40, [0-9]+ s: built bin/some_test$'
export BROKEN=yes
in_a_log 1 "build release"
unset BROKEN
says 'error: no such thing'
says 'building preset release failed'

in_a_log 8 "run_tests release"
says '^testing release: 4 of 4, [0-9]+ s, 1 failed: Suite.test_4$'
says '2/4 Test #2: .*Failed'
says 'some_test.cpp:7: Failure'
says '^\[1/2\] not a step$'
says '3/4 Test #3: .*Skipped'
says '^50% tests passed'
says_nothing_of 'Passed|Start'

# On a terminal it is one line, which fits, and at the end it is gone.
on_a_terminal 0 "build release some_test"
says $'\rbuilding release: 7 of 40, [0-9]+ s: built tests/[a-z]*/?\033\\[K'
[ -z "$(tr '\r' '\n' < "$dir/out" | sed $'s/\033\\[K//' | awk 'length > 49')" ] || fail "wider than the terminal: $(cat -A "$dir/out")"
[ "$(wc -l < "$dir/out")" -le 1 ] || fail "more than one line: $(cat -A "$dir/out")"
on_a_terminal 8 "run_tests release"
says $'\r\033\\[K 2/4 Test #2: .*Failed'
says $'\r\033\\[K50% tests passed'

# What is quick says nothing.
sed -i 's/^progress_first=0/progress_first=1000/' "$dir/command"
in_a_log 0 "build release some_test"
[ ! -s "$dir/out" ] || fail "a quick build said: $(cat "$dir/out")"
echo "progress is shown, and no error is lost"
