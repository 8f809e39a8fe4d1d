#!/usr/bin/env bash
# flows_test.sh IOTRACE [BRIEF] — iotrace draws both flows line by line as they were asked for, and as they were recorded.
# The tables are in flows/: a step's name in JSON, a tab, and its line. If the BRIEF is there, they are compared with it.
# Both flows are drawn on io_uring, if that is allowed here, and on the emulation, which records everything for everybody.
set -euo pipefail
iotrace=$1 brief=${2:-}
tables=$(cd "$(dirname "$0")/flows" && pwd)
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support.sh"
printf 'hello, ring' > "$dir/file"; chmod 755 "$dir"; chmod 644 "$dir/file"

kernels=emulated
[ "${CORERING_KERNEL:-}" = emulated ] || ! CORERING_KERNEL=io_uring "$iotrace" flow switch "$dir/file" > /dev/null 2>&1 ||
  kernels="io_uring emulated"
export CORERING_KERNEL

table() { # with the name of the kernel that draws
  if [ "$CORERING_KERNEL" = emulated ]; then sed 's/Kernel (io_uring)/Kernel (io_uring, emulated)/g' "$tables/$1.lines"; else cat "$tables/$1.lines"; fi
}
lines_of() { table "$1" | sed 's/^[a-z_]*\t//'; }
arrows_of() { table "$1" | grep "	"; }  # without the participants

# ---- the tables are the brief's diagrams ----
compared=no
if [ -f "$brief" ]; then
  for n in 1 2; do
    awk -v n=$n '/^```mermaid/ { ++i; on = 1; next } /^```/ { on = 0 } on && i == n' "$brief" |
      sed 's/^ *//; /^$/d; /^sequenceDiagram$/d' > "$dir/brief"
    [ -s "$dir/brief" ] || fail "there is no diagram $n in $brief"
    diff "$dir/brief" <(CORERING_KERNEL=io_uring lines_of "$([ $n = 1 ] && echo switch || echo callback)") || fail "table $n differs from the brief"
  done
  compared=yes
fi

# ---- our diagrams are the tables' ----
# same WANT GOT: our line is the wanted one; after it come only "not observed", what is in brackets, and the time.
after='^( \(not observed\))?( \[[^]]*\])*$'
same() {
  local rest=${2#"$1"}
  [ "$2" != "$rest" ] && [[ $rest =~ $after ]] || fail "instead of '$1' it says '$2'"
  case $1 in participant*) [ -z "$rest" ] || fail "participant: $2"; return ;; esac
  local seen=no unseen=no
  [[ $rest =~ \[[+-][0-9.]+\ µs\]$ ]] && seen=yes
  [[ $rest =~ ^\ \(not\ observed\) ]] && unseen=yes
  [ $seen != $unseen ] || fail "neither recorded nor 'not observed', or both: $2"
}
# compare FLOW READS FILE: the diagram in the file shows so many reads. Between two reads only bars are opened and closed.
compare() {
  local flow=$1 reads=$2 i=0 read want
  mapfile -t got < <(sed 's/^ *//; s/#44;/,/g' "$3")  # a comma in a name is an entity
  [ "${got[0]}" = sequenceDiagram ] && [[ ${got[1]} = title\ * ]] || fail "it begins with: ${got[0]} ${got[1]}"
  mapfile -t wanted < <(lines_of "$flow")
  for ((read = 2; read <= reads; ++read)); do
    if [ "$flow" = switch ]; then
      wanted+=("deactivate MPSCQueue" "deactivate eventfd")
      mapfile -t -O ${#wanted[@]} wanted < <(arrows_of switch | sed 's/^[a-z_]*\t//')
    else
      wanted+=("activate CallbackTask (Coro)")
      mapfile -t -O ${#wanted[@]} wanted < <(arrows_of callback | sed '1,2d; s/^[a-z_]*\t//')
    fi
  done
  [ ${#got[@]} -eq $((${#wanted[@]} + 2)) ] || fail "$flow: $((${#got[@]} - 2)) lines instead of ${#wanted[@]}"
  for want in "${wanted[@]}"; do
    case $want in
      activate*|deactivate*) [ "$want" = "${got[i + 2]}" ] || fail "instead of '$want' it says '${got[i + 2]}'" ;;
      *) same "$want" "${got[i + 2]}" ;;
    esac
    i=$((i + 1))
  done
}
unseen_in() { sed -n 's/^ *\(.*\) (not observed).*/\1/p' "$1"; }

# draw FLOW AS...: runs until the worker was asleep and woken, and leaves the diagram of such a run in $dir/drawn. The worker gets
# time to fall asleep, but on a busy machine it may still be awake.
draw() {
  local flow=$1; shift
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$@" flow "$flow" "$dir/file" --format mermaid > "$dir/drawn" 2> "$dir/said" || fail "$flow: $(cat "$dir/said")"
    told
    compare "$flow" 1 "$dir/drawn"
    unseen_in "$dir/drawn" | grep -v 'Kernel (io_uring)\(-->>-\|: Perf\)' > "$dir/unseen" || return 0
  done
  fail "$flow: in ten runs never recorded: $(cat "$dir/unseen")"
}

# What is not io_uring itself is named: beside the diagram in one line on stderr, and in the first line of a text.
told() {
  if [ "$CORERING_KERNEL" = emulated ]; then
    [ "$(cat "$dir/said")" = "iotrace: kernel: io_uring, emulated" ] || fail "the emulation is not named: $(cat "$dir/said")"
  else
    [ ! -s "$dir/said" ] || fail "said: $(cat "$dir/said")"
  fi
}

plain=()
if [ "$(id -u)" -eq 0 ]; then
  cp "$iotrace" "$dir/iotrace"; chmod 755 "$dir/iotrace"
  plain=(setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/iotrace")
else
  plain=("$iotrace")
fi
may_watch=no
[ "$(id -u)" -eq 0 ] && unshare -m mount -t tracefs none /sys/kernel/tracing 2> /dev/null && may_watch=yes
check_flow() {
  local flow=$1 text wanted i
  draw $flow "$iotrace"
  if [ $may_watch = yes ] && unseen_in "$dir/drawn" | grep Kernel; then fail "$flow: the kernel was not watched"; fi
  # Who may not watch the kernel sees all the rest, and the two steps of the kernel are marked. The emulation tells them to everybody.
  draw $flow "${plain[@]}"
  if [ "$CORERING_KERNEL" != emulated ] && { [ ! -r /sys/kernel/tracing/events ] || [ "$(id -u)" -eq 0 ]; }; then
    [ "$(unseen_in "$dir/drawn" | wc -l)" -eq 2 ] || fail "$flow: a plain user: $(unseen_in "$dir/drawn")"
  fi
  # Several reads, and the same lines in the other formats.
  "$iotrace" flow $flow "$dir/file" --chunk 3 --format mermaid > "$dir/four" 2> "$dir/said"
  compare $flow 4 "$dir/four"
  "$iotrace" flow $flow "$dir/file" --format json 2> "$dir/said" | sed -n 's/.*"step": "\([a-z_]*\)".*/\1/p' > "$dir/steps"
  told
  diff "$dir/steps" <(arrows_of $flow | cut -f1) || fail "$flow: JSON has other steps"
  "$iotrace" flow $flow "$dir/file" > "$dir/text"
  head -n 1 "$dir/text" | found "; kernel: io_uring, emulated$" && named=emulated || named=io_uring
  [ $named = "$CORERING_KERNEL" ] || fail "the first line of the text: $(head -n 1 "$dir/text")"
  mapfile -t text < <(sed 1d "$dir/text")
  mapfile -t wanted < <(arrows_of $flow | cut -f2)
  for ((i = 0; i < ${#wanted[@]}; ++i)); do
    [[ ${text[i]} = *"${wanted[i]#*: }"* ]] || fail "$flow: text: '${text[i]}' instead of '${wanted[i]}'"
  done
}
for CORERING_KERNEL in $kernels; do
  for flow in switch callback; do check_flow $flow; done
done

# This shows that the comparison can fail: a reworded line, an arrow of the other kind, a bar that is missing, a lost line.
for spoil in 's/Event loop runs/The event loop runs/' 's/\(Kernel ([^)]*)\)-->>-Worker/\1->>-Worker/' 's/->>+MPSC/->>MPSC/' \
             '/Returns handle/d' 's/Suspends \[/Suspends at last [/'; do
  draw switch "$iotrace"
  sed "$spoil" "$dir/drawn" > "$dir/spoilt"
  cmp -s "$dir/drawn" "$dir/spoilt" && fail "'$spoil' changes nothing"
  if (compare switch 1 "$dir/spoilt") > /dev/null; then fail "nobody notices: $spoil"; fi
done
echo "both flows line by line; compared with the brief: $compared; the kernel was watched: $may_watch; drawn on: $kernels"
