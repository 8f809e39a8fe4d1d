#!/usr/bin/env bash
# scripts/operations.sh — writes docs/OPERATIONS.md from the comments of the headers that have operations; with --check says whether it is as written.
set -euo pipefail
cd "$(dirname "$0")/.."

# One table per header: each row of a comment, with the name of what the comment stands above.
tables() {
  local header
  for header in io/file_calls io/path_calls io/socket_calls streams/send_queue io/pipe_calls io/control_calls io/epoll_calls io/futex_calls \
    io/process_calls streams/messages streams/streams io/raw; do
    awk -v header="$header" '
      NR == 1 { title = $0; sub(/^\/\/\/ [a-z_]+\.hpp — /, "", title) }
      /^\/\/\/ \| / { row = $0; sub(/^\/\/\/ /, "", row); next }
      row != "" && match($0, /(async_[a-z0-9_]+|link_timeout|[A-Z][A-Za-z]+Stream)/) {
        rows = rows "| `" substr($0, RSTART, RLENGTH) "` " row "\n"; row = ""
      }
      END {
        sub(/\. The rows are explained in$/, ".", title)
        printf "\n## [%s.hpp](../include/corering/%s.hpp)\n\n", header, header
        print "| | opcode | since Linux | follows | must stay alive | errors, besides EBADF |"
        print "|---|---|---|---|---|---|"
        printf "%s", rows
      }' "include/corering/$header.hpp"
  done
}

page() {
  cat <<'TEXT'
# Operations

Every request that io_uring takes, as a function or a stream. Written by `scripts/operations.sh` from the comments in
the headers, which say more; a test looks whether this page is as written.

- Each returns an operation that does nothing until it is awaited, on a worker; `.on(worker)` goes there first. The streams are
  objects, and `async_waitid` and `async_epoll_wait` tasks: these are awaited on the worker.
- "must stay alive": until the awaiting coroutine has been resumed.
- Every operation can also fail with the scope's reason, when it is cancelled.
- "since Linux" is what the kernel needs. On an older one, what is newer than 5.19 is done in another way where there is one, and
  fails with `std::errc::operation_not_supported` and a message that names the kernel where there is none. `corering doctor` prints
  what is missing and what stands in for it. `CORERING_MASK=name,...` hides things, for testing that.
- Not here: PROVIDE_BUFFERS and REMOVE_BUFFERS, which buffer rings (`BufferPool`) have replaced, and RECV_ZC, which needs a network
  card set aside for it. `async_raw` and `RawStream` take any SQE.
TEXT
  tables
}

if [ "${1:-}" = --check ]; then
  page | diff -u docs/OPERATIONS.md - || { echo "docs/OPERATIONS.md is not what scripts/operations.sh writes: run it"; exit 1; }
else
  page > docs/OPERATIONS.md
fi
