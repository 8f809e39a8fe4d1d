# support.sh — what the script tests share. It is sourced by bash. $dir must be a new directory; the servers' output goes to $dir/log.

fail() { echo "FAILED: $1"; [ ! -s "$dir/log" ] || { echo "the log:"; cat "$dir/log"; }; exit 1; }

# found WORDS... is `grep -q` for the end of a pipe, and first_line is `head -n 1`: they read all that comes. A reader that ends
# early may kill the writer with SIGPIPE, depending on who is faster, and under `pipefail` that fails a test.
found() { grep -c "$@" | { read -r lines && [ "$lines" -gt 0 ]; }; }
first_line() { sed -n 1p; }

# expect STATUS TEXT COMMAND... checks the exit status of the command, and that TEXT is somewhere in its output.
expect() {
  local status=$1 text=$2 got=0; shift 2
  timeout 60 "$@" > "$dir/out" 2>&1 < /dev/null || got=$?
  [ "$got" -eq "$status" ] && grep -qF -- "$text" "$dir/out" || fail "$*: status $got, said: $(cat "$dir/out")"
}

# The port is below the range that clients get when they connect, because their ports stay taken for a minute.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port"
}

wait_for_port() {
  for _ in $(seq 200); do
    (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.05
  done
  fail "nothing listens on port $1"
}

wait_for_no_port() {
  for _ in $(seq 200); do
    (exec 4<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 0
    sleep 0.05
  done
  fail "port $1 is still listened on"
}

# wait_for TEXT waits until TEXT is in the log.
wait_for() {
  for _ in $(seq 200); do grep -qF -- "$1" "$dir/log" && return; sleep 0.05; done
  fail "never said: $1"
}

servers=()
# start COMMAND... starts it in the background. It is killed at the end if it has not been stopped.
start() { "$@" >> "$dir/log" 2>&1 & servers+=($!); server=$!; }
# stop PID SIGNAL sends the signal. The process must end with 0.
stop() {
  kill "-$2" "$1"
  local code=0; wait "$1" || code=$?
  [ $code -eq 0 ] || fail "process $1 ended with $code"
}
clean_up() {
  local pid
  for pid in "${servers[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
