# environment.sh — what ./run, ./test, ./bench and .ci/run share: Debian packages, configure, build, test. Sourced by bash.

die() { printf '%s: %s\n' "$(basename "$0")" "$1" >&2; exit 1; }

# The lines of comment at the top of each command, from the second one on, say how it is called.
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# //p' "$0"; exit 0 ;; esac

# How many seconds lie between two lines of progress in a log. Before the first, what is quick says nothing.
progress_first=2 progress_interval=10

# progress LABEL [--rest]: reads what ninja, ctest or apt-get say, and shows on stderr how far they are: on a terminal in one line,
# which is rewritten and disappears at the end; elsewhere in a line from time to time. With --rest it prints everything that is no
# progress, such as the output of a test that fails.
progress() {
  local label=$1 rest=${2:-} line='' part='' at='' item='' bad=0 status=0 width=80 live='' begin=$SECONDS next
  next=$((SECONDS + progress_first))
  if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then
    live=yes
    read -r _ width < <(stty size <&2 2>/dev/null) || true
    [ "${width:-0}" -gt 0 ] || width=80
  fi
  while :; do
    status=0; IFS= read -r -t 1 line || status=$?
    line=$part$line part=''
    if [ "$status" -gt 128 ]; then part=$line  # nothing came for a second, or a part of a line
    elif [[ $status -ne 0 && -z $line ]]; then break
    elif [[ -z $rest && $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) ]]; then
      at="${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}" item=${BASH_REMATCH[3]}
      item=${item#Building C* object } item=${item#Linking C* } item=${item#* library } item=${item#executable }
      [[ $item != *CMakeFiles/*.dir/* ]] || item=${item%%CMakeFiles/*}${item#*.dir/}
      item="built ${item%.o}"  # ninja says so when it has been built
    elif [[ $line =~ ^\ *([0-9]+)/([0-9]+)\ Test\ +#[0-9]+:\  ]]; then
      at="${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
      if ! [[ $line =~ \ Passed\ +[0-9.]+\ sec ]]; then
        [[ $line = *'***Skipped'* ]] || bad=$((bad + 1))
        show_rest "$line"
      fi
    elif [[ $line =~ ^\ +Start\ +[0-9]+:\ (.*) ]]; then item=${BASH_REMATCH[1]}
    elif [ -n "$rest" ]; then show_rest "$line"
    elif [ -z "$at" ]; then item=$line
    fi
    show_progress
  done
  [ -z "$live" ] || printf '\r\033[K' >&2
  [ $((SECONDS - begin)) -lt "$progress_first" ] || printf '%s: %s%d s\n' "$label" "${at:+$at, }" $((SECONDS - begin)) >&2
}
# These two are parts of it, and use its variables.
show_rest() {
  [ -z "$live" ] || printf '\r\033[K' >&2
  printf '%s\n' "$1"
}
show_progress() {
  local text="$label:${at:+ $at,} $((SECONDS - begin)) s"
  [ "$bad" -eq 0 ] || text+=", $bad failed"
  [ -z "$item" ] || text+=": $item"
  if [ -n "$live" ]; then printf '\r%s\033[K' "${text:0:width-1}" >&2
  elif [ "$SECONDS" -ge "$next" ]; then
    printf '%s\n' "$text" >&2
    next=$((SECONDS + progress_interval))
  fi
}

# need PACKAGE...: installs those that are missing, and says which.
need() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "needs these Debian packages: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "needs these packages; as root run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  printf 'installing: %s\n' "${missing[*]}" >&2
  local log; log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y --no-install-recommends "${missing[@]}"; } 2>&1 | tee "$log" | progress installing; then
    tail -n 20 "$log" >&2; rm -f "$log"
    die "could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# What every preset is configured with, also if only a program is built. (Without Asio and libuv it would leave out the benchmarks.)
need_build_tools() { need cmake ninja-build pkg-config clang-19 g++-12 liburing-dev libgtest-dev libasio-dev libuv1-dev "$@"; }

# build PRESET [TARGET...]: configures and builds, and shows only how far it is; on failure also what the compiler said.
build() {
  local preset=$1 log; shift
  log=$(mktemp)
  if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } 2>&1 |
      tee "$log" | progress "building $preset"; then
    grep -nE 'error|Error|FAILED' "$log" | sed -n 1,30p >&2 || true
    tail -n 30 "$log" >&2; rm -f "$log"
    die "building preset $preset failed"
  fi
  rm -f "$log"
}

# run_tests PRESET WRAPPER [CTEST-OPTION...]: shows how far it is, what fails and how it ends, and why some tests were skipped.
# WRAPPER is a command that runs the tests, or empty. Everything is in Testing/Temporary/LastTest.log.
run_tests() {
  local preset=$1 wrapper=${2:-} status=0; shift; [ $# -eq 0 ] || shift
  # Most tests wait more than they compute, but not under the thread sanitizer.
  local jobs; jobs=$(nproc); [ "$preset" = tsan ] || jobs=$((2 * jobs))
  # shellcheck disable=SC2086 # the wrapper is several words
  $wrapper ctest --preset "$preset" -j "$jobs" "$@" 2>&1 | progress "testing $preset" --rest || status=$?
  show_skipped "build/$preset/Testing/Temporary/LastTest.log"
  return "$status"
}
# run_long PRESET: what lasts. Each part has its own time limit, and one that fails does not keep the others from running.
run_long() {
  local preset=$1 part status failed=() skipped=() seeds=1000000
  [[ $preset = release || $preset = gcc ]] || seeds=50000
  for part in connections posts churn hostile waits seeds; do
    printf '\n== %s\n' "$part"
    status=0
    case $part in
      seeds) timeout 3600 scripts/seeds.sh "$seeds" "$preset" || status=$? ;;
      *) timeout 3600 "build/$preset/bin/soak" "$part" --long || status=$? ;;
    esac
    case $status in 0) ;; 77) skipped+=("$part") ;; *) failed+=("$part") ;; esac
  done
  [ ${#skipped[@]} -eq 0 ] || printf 'skipped: %s\n' "${skipped[*]}"
  [ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
}
# The reasons for which tests were skipped, and how many for each.
show_skipped() {
  local reasons  # a case says "PLACE: Skipped" and the reason in the next line, a script "skipped: REASON"
  reasons=$(sed -nE 's/^skipped: //; t found; s/^.*: Skipped$//; T; n; :found; p' "$1" 2>/dev/null | sort | uniq -c | sort -rn) || true
  [ -z "$reasons" ] || printf 'skipped tests, by reason:\n%s\n' "$reasons"
}
