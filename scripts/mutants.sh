#!/usr/bin/env bash
# Breaks important lines of the library (scripts/mutants.txt), one at a time, and says which of them no test notices.
#   scripts/mutants.sh              all of them: 20 to 60 minutes on two processors
#   scripts/mutants.sh PART         those whose name, or whose source's name, contains PART
#   scripts/mutants.sh --from NAME  that one and those after it, to go on with a run that was interrupted
#   scripts/mutants.sh --simulated  lets a thousand seeds of the simulated world, its tests, and the cases that run simulated
#                                   look for them, and not those that the table names; PART and --from NAME may follow
#   scripts/mutants.sh --check      only whether each text is found exactly once
# It works in a scratch copy of what is committed, with the debug preset. A test that hangs has noticed, too. The status is 1
# if more than two survive, or if one survives that is not said to, with its reason. The canary, a mutant that everything has to
# notice, comes first: if it survives, the check itself is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
scratch=${CORERING_MUTANTS:-$(mktemp -d)}  # name a folder to keep what has been built
[ -n "${CORERING_MUTANTS:-}" ] || trap 'rm -rf "$scratch"' EXIT
limit=${CORERING_MUTANTS_LIMIT:-60}  # seconds for each test program, and five times what it takes when nothing is broken

# mutate TREE NAME: breaks the line in the tree, and prints the tests, the reason to live, and the file.
# mutate TREE --names [PART | --from NAME]: prints the names. mutate TREE --only-real: those that no simulation reaches.
mutate() {
  python3 - "$1/scripts/mutants.txt" "$@" << 'END'
import pathlib, sys
table, tree, name = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
mutants, order = {}, []
for line in open(table):
    line = line.rstrip("\n")
    if line.startswith("["):
        order.append(line[1:-1])
        mutants[order[-1]] = {"file": [], "text": [], "with": [], "tests": [], "lives": [], "real": []}
    elif line and not line.startswith("#"):
        key, _, value = line.partition(" ")
        # After the key stands one blank for `text` and `with`, so that their indentation counts.
        mutants[order[-1]][key].append(value if key in ("text", "with") else value.strip())
if name == "--names":
    part = sys.argv[4] if len(sys.argv) > 4 else ""
    if part == "--from":
        order, part = order[order.index(sys.argv[5]):], ""
    print("\n".join(name for name in order if part in name or part in mutants[name]["file"][0]))
    sys.exit()
if name == "--only-real":
    print("\n".join(name for name in order if mutants[name]["real"]))
    sys.exit()
mutant = mutants[name]
path = tree / mutant["file"][0]
source = path.read_text()
text = "".join(line + "\n" for line in mutant["text"])
found = sum(1 for at in range(len(source)) if source.startswith(text, at) and (at == 0 or source[at - 1] == "\n"))
if found != 1:
    sys.exit(f"mutants.txt: '{name}': the text is found {found} times in {mutant['file'][0]}, and not once:\n{text}")
if "--dry" not in sys.argv:
    path.write_text(("\n" + source).replace("\n" + text, "\n" + "".join(line + "\n" for line in mutant["with"]), 1)[1:])
print(" ".join(mutant["tests"]))
print(" ".join(mutant["lives"]))
print(mutant["file"][0])
END
}

simulated=''
if [ "${1:-}" = --simulated ]; then simulated=yes; shift; fi
if [ "${1:-}" = --check ]; then
  bad=0
  while IFS= read -r name; do mutate "$root" "$name" --dry > /dev/null || bad=1; done < <(mutate "$root" --names)
  exit $bad
fi

tree=$scratch/tree
if [ -d "$tree" ]; then git -C "$tree" fetch -q "$root" HEAD && git -C "$tree" reset -q --hard FETCH_HEAD
else git clone -q "$root" "$tree"; fi
cd "$tree"
# In the simulated world: the scenario, the tests of the world, and the usual ones of which tests/simulated.txt says that they
# run there, too.
suite=(sim_explore sim_test 'conformance_test:*/simulated')
for program in $(sed -n 's/^\([a-z_]*\) .*/\1/p' tests/simulated.txt | sort -u); do suite+=("$program/simulated"); done
launcher=()
if command -v ccache > /dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
# A mutant may leave a name unused, which is no error here. Nobody debugs here. In the simulated world, the sanitizer sees
# what lives too short.
sanitize=()
[ -z "$simulated" ] || sanitize=(-DCORERING_SANITIZE=address -DCORERING_PRECOMPILE=ON)
cmake --preset debug "${launcher[@]}" "${sanitize[@]}" -DCORERING_WERROR=OFF -DCMAKE_CXX_FLAGS_DEBUG="-g0 -O$([ -z "$simulated" ] && echo 0 || echo 1)" \
  -DCORERING_TOOLS=OFF -DCORERING_EXAMPLES=OFF -DCORERING_BENCH=OFF > "$scratch/log" 2>&1 || { cat "$scratch/log"; exit 2; }
export GTEST_DEATH_TEST_STYLE=threadsafe

mapfile -t names < <(mutate "$tree" --names "$@")
[ -n "${names[0]:-}" ] || { echo "no name in scripts/mutants.txt, and no source there, contains '$*'"; exit 2; }

# The tests pass while nothing is broken; a test that fails anyway would say that every line is guarded.
declare -A seconds=()
run() {
  local options=(--gtest_brief=1 --gtest_fail_fast "--gtest_filter=$(filter "$1")") world=()
  [ "$1" != sim_explore ] || options=(1 1000)
  [[ "$1" == *:* || "$1" != */simulated ]] || world=(env CORERING_SIMULATED=1)
  timeout --kill-after=5 "$((limit + 5 * ${seconds[$1]:-$limit}))" "${world[@]}" "build/debug/bin/$(program "$1")" "${options[@]}" \
    > "$scratch/out" 2>&1
} 2> /dev/null  # the shell says who was aborted
program() { local name=${1%%:*}; echo "${name%/simulated}"; }
filter() {
  case "$1" in
    *:*) echo "${1#*:}" ;;
    */simulated)
      awk -v program="$(program "$1")" '$1 == program { if (sub(/^-/, "", $2)) without = without ":" $2; else with = with ":" $2 }
                                        END { print substr(with, 2) "-" substr(without, 2) }' tests/simulated.txt ;;
    *) echo '*' ;;
  esac
}

# build PROGRAM: 0 if it compiles.
build() { cmake --build --preset debug --target "$1" -j2 > "$scratch/log" 2>&1; }
# test_passes TEST: makes sure that it passes while nothing is broken, and notes how long that takes.
test_passes() {
  [ -z "${seconds[$1]:-}" ] || return 0
  build "$(program "$1")" || { tail -n 30 "$scratch/log"; exit 2; }
  local began=$SECONDS
  [ "$1" = sim_explore ] || "build/debug/bin/$(program "$1")" --gtest_list_tests "--gtest_filter=$(filter "$1")" | grep '^  ' > /dev/null ||
    { echo "$1 has no test"; exit 2; }
  run "$1" || { echo "$1 fails although nothing is broken:"; tail -n 20 "$scratch/out"; exit 2; }
  seconds[$1]=$((SECONDS - began))
}

killed=0 tried=0 survivors=()
[ -z "$simulated" ] || mapfile -t real < <(mutate "$tree" --only-real)
is_real() { [ -n "$simulated" ] && printf '%s\n' "${real[@]}" | grep -xF "$1" > /dev/null; }
for name in "${names[@]}"; do
  if is_real "$name"; then printf 'not here  %s\n' "$name"; continue; fi
  tried=$((tried + 1))
  mapfile -t facts < <(mutate "$tree" "$name" --dry)
  [ ${#facts[@]} -eq 3 ] || exit 2
  read -ra tests <<< "${facts[0]}"
  [ -z "$simulated" ] || tests=("${suite[@]}")
  by=''
  for test in "${tests[@]}"; do
    test_passes "$test"
    mutate "$tree" "$name" > /dev/null
    if ! build "$(program "$test")"; then
      grep -m 3 'error:' "$scratch/log" || tail -n 5 "$scratch/log"
      echo "'$name' does not compile: break the line in another way"
      exit 2
    fi
    status=0
    run "$test" || status=$?
    git checkout -q -- "${facts[2]}"
    case $status in
      0) ;;
      124 | 137) by="$test, which hangs"; break ;;
      *) by=$test; break ;;
    esac
  done
  if [ -n "$by" ]; then
    killed=$((killed + 1))
    printf 'killed    %-66s by %s\n' "$name" "$by"
  else
    printf 'SURVIVES  %-66s %s\n' "$name" "${facts[1]:-and nobody says why}"
    survivors+=("${facts[1]:+said }$name")
  fi
done
printf '%d of %d killed\n' "$killed" "$tried"
[ ${#survivors[@]} -le 2 ] || exit 1
for survivor in "${survivors[@]}"; do [[ "$survivor" == 'said '* ]] || exit 1; done
