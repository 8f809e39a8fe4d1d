/// pipeline.cpp — wc -lc: one task reads, another counts, and a few buffers circulate between them.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <utility>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

using Buffer = std::vector<std::byte>;
constexpr std::size_t buffer_size = 256 * 1024;

struct Counts {
  std::size_t lines = 0, bytes = 0;
};

Task<Result<void>> read_all(int file, Channel<Buffer>& empty, Channel<Buffer>& full) {
  for (;;) {
    Result<Buffer> buffer = co_await empty.receive();  // waits when the counter is slower
    if (!buffer) co_return std::unexpected(buffer.error());
    buffer->resize(buffer_size);
    const Result<std::size_t> got = co_await async_read(file, *buffer, current_position);
    if (!got) co_return std::unexpected(got.error());
    buffer->resize(*got);
    if (*got == 0) break;
    const Result<void> sent = co_await full.send(std::move(*buffer));
    if (!sent) co_return sent;
  }
  full.close();
  co_return Result<void>();
}

Task<Result<Counts>> count(const char* path) {
  const Result<Fd> file = co_await async_openat(AT_FDCWD, path, O_RDONLY);
  if (!file) co_return std::unexpected(file.error());
  Channel<Buffer> empty(4), full(4);
  for (Buffer buffer; empty.try_send(buffer);) buffer = Buffer();
  // A failed read cancels the counting. Nothing still runs when the group returns.
  co_return co_await with_group([&](TaskGroup& group) -> Task<Result<Counts>> {
    group.spawn(read_all(file->get(), empty, full));
    Counts counts;
    for (;;) {
      Result<Buffer> buffer = co_await full.receive();
      if (!buffer && buffer.error() == std::errc::broken_pipe) co_return counts;
      if (!buffer) co_return std::unexpected(buffer.error());
      counts.lines += static_cast<std::size_t>(std::ranges::count(*buffer, std::byte{'\n'}));
      counts.bytes += buffer->size();
      (void)co_await empty.send(std::move(*buffer));
    }
  });
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: pipeline FILE\n", stderr), 2;
  const Result<Counts> counts = run(count(argv[1]));
  if (counts) return std::printf("%zu %zu %s\n", counts->lines, counts->bytes, argv[1]), 0;
  return std::fprintf(stderr, "pipeline: %s: %s\n", argv[1], counts.error().message().c_str()), 1;
}
