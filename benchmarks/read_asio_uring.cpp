/// read_asio_uring.cpp — Asio's random_access_file on io_uring: FILE DEPTH COUNT BLOCKS; prints nanoseconds.
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <vector>

namespace {

using asio::awaitable;
using asio::use_awaitable;

constexpr std::size_t block_size = 4096;

struct Reads {
  asio::random_access_file& file;
  std::uint64_t left;
  std::uint64_t blocks;
  std::uint64_t random = 1;

  std::uint64_t next_offset() noexcept {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random >> 33) % blocks * block_size;
  }
};

awaitable<void> read_blocks(Reads& reads) {
  std::vector<char> buffer(block_size);
  while (reads.left > 0) {
    --reads.left;
    const std::size_t got =
        co_await reads.file.async_read_some_at(reads.next_offset(), asio::buffer(buffer), use_awaitable);
    if (got != block_size) throw std::runtime_error("a read of a cached block came back short");
  }
}

int run(char** arguments) {
  asio::io_context context(1);
  asio::random_access_file file(context, arguments[1], asio::random_access_file::read_only);
  Reads reads{.file = file,
              .left = std::strtoull(arguments[3], nullptr, 10),
              .blocks = std::strtoull(arguments[4], nullptr, 10)};
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned long i = std::strtoul(arguments[2], nullptr, 10); i > 0; --i) {
    asio::co_spawn(context, read_blocks(reads), [](std::exception_ptr exception) {
      if (exception) std::rethrow_exception(exception);
    });
  }
  context.run();
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  std::printf("%lld\n", static_cast<long long>(std::chrono::nanoseconds(elapsed).count()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fputs("usage: read_asio_uring FILE DEPTH COUNT BLOCKS\n", stderr), 2;
  try {
    return run(argv);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "read_asio_uring: %s\n", error.what()), 1;
  }
}
