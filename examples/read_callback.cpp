/// read_callback.cpp — cat: the coroutine is started on the worker and never leaves it. This is the "Worker
/// Callback" flow.
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

Task<Result<void>> copy_to_stdout(const char* path, bool& written) {
  const Result<Fd> file = co_await async_openat(AT_FDCWD, path, O_RDONLY);
  if (!file) co_return std::unexpected(file.error());
  std::vector<std::byte> buffer(1U << 20);
  while (written) {
    const Result<std::size_t> got = co_await async_read(file->get(), buffer, current_position);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) break;
    written = std::fwrite(buffer.data(), 1, *got, stdout) == *got && std::fflush(stdout) == 0;
  }
  co_return Result<void>();
}

Task<void> run_and_stop(const char* path, Result<void>& outcome, bool& written) {
  outcome = co_await copy_to_stdout(path, written);
  Worker::current()->request_stop();
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: read_callback FILE\n", stderr), 2;
  Result<void> outcome;
  bool written = true;
  Worker worker;
  const auto init_callback = [&](Worker&) { spawn(run_and_stop(argv[1], outcome, written)).detach(); };
  if (const Result<void> started = worker.start(init_callback); !started) {
    outcome = started;
  } else {
    worker.join();
  }
  if (!written) return std::perror("read_callback: standard output"), 1;
  if (outcome) return 0;
  return std::fprintf(stderr, "read_callback: %s: %s\n", argv[1], outcome.error().message().c_str()), 1;
}
