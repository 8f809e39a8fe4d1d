/// read_switch.cpp — cat: the main thread awaits each read, and a worker does it. This is the "Switch to
/// Worker" flow.
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: read_switch FILE\n", stderr), 2;
  const auto fail = [&](const std::error_code& error) {
    return std::fprintf(stderr, "read_switch: %s: %s\n", argv[1], error.message().c_str()), 1;
  };

  Worker worker;
  if (const Result<void> started = worker.start(); !started) return fail(started.error());

  const Result<Fd> file = sync_wait(async_openat(AT_FDCWD, argv[1], O_RDONLY).on(worker));
  if (!file) return fail(file.error());

  std::vector<std::byte> buffer(1U << 20);
  for (;;) {
    // The coroutine inside on() pushes its handle on the worker's queue, wakes the worker, and reads there.
    const Result<std::size_t> got = sync_wait(async_read(file->get(), buffer, current_position).on(worker));
    if (!got) return fail(got.error());
    const bool written = std::fwrite(buffer.data(), 1, *got, stdout) == *got && std::fflush(stdout) == 0;
    if (!written) return std::perror("read_switch: standard output"), 1;
    if (*got == 0) return 0;
  }
}
