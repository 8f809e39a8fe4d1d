/// pipe_stream.cpp — pipes and the standard streams.
#include <cerrno>
#include <fcntl.h>

#include <corering/base/outside.hpp>
#include <corering/base/rest_of.hpp>
#include <corering/streams/pipe_stream.hpp>

namespace corering {
namespace {

template <class End>
Result<End> copy_of(int fd) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.is_open()) return failure(errno);
  return End(std::move(copy));
}

}  // namespace

Task<Result<void>> PipeWriter::write_all(std::span<const std::byte> from) const {
  while (!from.empty()) {
    const Result<std::size_t> put = co_await write(from);
    if (!put) co_return std::unexpected(put.error());
    from = rest_of(from, *put);
  }
  co_return Result<void>();
}

Result<Pipe> Pipe::create() {
  std::array<int, 2> fds{};
  if (os::pipe(fds.data()) != 0) return failure(errno);
  return Pipe{.reader = PipeReader(Fd(fds[0])), .writer = PipeWriter(Fd(fds[1]))};
}

Result<PipeReader> standard_input() { return copy_of<PipeReader>(STDIN_FILENO); }
Result<PipeWriter> standard_output() { return copy_of<PipeWriter>(STDOUT_FILENO); }
Result<PipeWriter> standard_error() { return copy_of<PipeWriter>(STDERR_FILENO); }

}  // namespace corering
