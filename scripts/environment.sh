# environment.sh — what ./run, ./test, ./bench and .ci/run share: Debian packages, configure, build. Sourced by bash.

die() { printf '%s: %s\n' "$(basename "$0")" "$1" >&2; exit 1; }

# The second line of each command says how it is called.
case ${1:-} in -h | --help) sed -n '2s/^# //p' "$0"; exit 0 ;; esac

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
         apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2; rm -f "$log"
    die "could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# With what the benchmarks are built against: without it the build leaves them out.
need_build_tools() { need cmake ninja-build pkg-config clang-19 g++-12 liburing-dev libasio-dev libuv1-dev "$@"; }

# build PRESET [TARGET...]: configures and builds quietly; on failure shows what the compiler said.
build() {
  local preset=$1 log; shift
  log=$(mktemp)
  if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
    grep -nE 'error|Error|FAILED' "$log" | head -n 30 >&2 || true
    tail -n 30 "$log" >&2; rm -f "$log"
    die "building preset $preset failed"
  fi
  rm -f "$log"
}
