/// timeout.cpp — connects to HOST and PORT and prints what the server says, all within SECONDS.
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <corering/corering.hpp>

using namespace corering;

Task<Result<void>> print_all(BlockingPool& pool, const char* host, const char* port) {
  const Result<TcpStream> server = co_await TcpStream::connect(pool, host, port);
  if (!server) co_return std::unexpected(server.error());
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await server->read(buffer);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return Result<void>();
    if (std::fwrite(buffer.data(), 1, *got, stdout) != *got) co_return failure(errno);
  }
}

// This one deadline covers everything in print_all: the look-up, each connect, each read.
Task<Result<void>> print_in_time(BlockingPool& pool, char** argv, std::chrono::milliseconds limit) {
  co_return co_await with_timeout(limit, print_all(pool, argv[1], argv[2]));
}

int main(int argc, char** argv) {
  double seconds = 0;
  const char* const number = argc == 4 ? argv[3] : "";
  const auto [end, error] = std::from_chars(number, number + std::strlen(number), seconds);
  if (error != std::errc() || *end != '\0' || !(seconds > 0 && seconds < 1e6))
    return std::fputs("usage: timeout HOST PORT SECONDS\n", stderr), 2;
  BlockingPool pool;
  const auto limit = std::chrono::milliseconds(static_cast<long>(seconds * 1000));
  const Result<void> done = run(print_in_time(pool, argv, limit));
  if (done) return 0;
  return std::fprintf(stderr, "timeout: %s\n", done.error().message().c_str()), 1;
}
