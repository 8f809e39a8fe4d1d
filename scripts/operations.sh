#!/usr/bin/env bash
# scripts/operations.sh — writes docs/OPERATIONS.md from the comments of the headers that have operations; with --check it only says whether the page is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints one table per header. Each row comes from a comment, with the name of the function or class below that comment.
tables() {
  local header
  for header in io/file_calls io/path_calls io/socket_calls streams/send_queue io/pipe_calls io/control_calls io/epoll_calls io/futex_calls \
    io/process_calls streams/messages streams/streams io/raw; do
    awk -v header="$header" '
      # What the emulated kernel does with a request; tests/operations runs every row on it.
      function emulated(row) {
        if (row ~ /^\| (SEND_ZC|SENDMSG_ZC)/) return "yes, it copies"
        if (row ~ /^\| URING_CMD \|/) return "for sockets; others: EOPNOTSUPP, they need the device\047s own ring"
        if (row ~ /^\| WAITID/) return "yes; groups, and stopped processes, are asked for every few ms"
        return "yes"
      }
      NR == 1 { title = $0; sub(/^\/\/\/ [a-z_]+\.hpp — /, "", title) }
      /^\/\/\/ \| / { row = $0; sub(/^\/\/\/ /, "", row); next }
      row != "" && match($0, /(async_[a-z0-9_]+|link_timeout|[A-Z][A-Za-z]+Stream)/) {
        rows = rows "| `" substr($0, RSTART, RLENGTH) "` " row " " emulated(row) " |\n"; row = ""
      }
      END {
        sub(/\. The rows are explained in$/, ".", title)
        printf "\n## [%s.hpp](../include/corering/%s.hpp)\n\n", header, header
        print "| | opcode | since Linux | follows | must stay alive | errors, apart from EBADF | emulated |"
        print "|---|---|---|---|---|---|---|"
        printf "%s", rows
      }' "include/corering/$header.hpp"
  done
}

page() {
  cat <<'TEXT'
# Operations

This page lists every request that io_uring takes, each as a function or a stream. `scripts/operations.sh` writes it from the
comments in the headers, which say more. A test checks that the page is up to date.

- Each function returns an operation that does nothing until it is awaited, on a worker. `.on(worker)` goes to that worker first.
  The streams are objects, and `async_waitid` and `async_epoll_wait` are tasks: these are awaited on the worker itself.
- "must stay alive" means: until the awaiting coroutine has been resumed.
- Every operation can also fail with the scope's reason, when it is cancelled.
- "since Linux" is the kernel that a request needs. If it is newer than 5.19 and your kernel is older, the library does the request
  in another way where there is one. Where there is none, the request fails with `std::errc::operation_not_supported` and a message
  that names the kernel. `corering doctor` prints what is missing and what stands in for it. `CORERING_MASK=name,...` hides
  features, so that you can test that.
- "emulated" says whether the emulated kernel (`emulated_kernel()`, [KERNELS.md](KERNELS.md)) does the request, and how.
- Three requests are not here. Buffer rings (`BufferPool`) have replaced PROVIDE_BUFFERS and REMOVE_BUFFERS. RECV_ZC needs a
  network card that is set aside for it. `async_raw` and `RawStream` take any SQE.
TEXT
  tables
}

if [ "${1:-}" = --check ]; then
  page | diff -u docs/OPERATIONS.md - || { echo "docs/OPERATIONS.md is out of date: run scripts/operations.sh"; exit 1; }
else
  page > docs/OPERATIONS.md
fi
