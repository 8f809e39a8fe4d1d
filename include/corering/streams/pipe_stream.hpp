/// pipe_stream.hpp — the ends of a pipe, and the process's own standard streams.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <corering/io/pipe_calls.hpp>
#include <corering/streams/streams.hpp>

namespace corering {

/// Owns the end that is read.
class PipeReader {
 public:
  explicit PipeReader(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// What there is, at most `into.size()` bytes; 0 when every writer has closed.
  auto read(std::span<std::byte> into) const noexcept { return async_read(fd_, into, current_position); }
  /// ... without a buffer of one's own. See ReadStream.
  [[nodiscard]] ReadStream stream(BufferPool& pool) const { return ReadStream(fd_, pool); }

  auto close() noexcept { return async_close(std::move(fd_)); }
  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }

 private:
  Fd fd_;
};

/// Owns the end that is written.
class PipeWriter {
 public:
  explicit PipeWriter(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// Some of `from`, or all. EPIPE when every reader has closed: workers block the signal.
  auto write(std::span<const std::byte> from) const noexcept {
    return async_write(fd_, from, current_position);
  }
  /// All of `from`, or an error.
  [[nodiscard]] Task<Result<void>> write_all(std::span<const std::byte> from) const;
  [[nodiscard]] Task<Result<void>> write_all(std::string_view from) const {
    return write_all(std::as_bytes(std::span(from)));
  }

  /// The reader reads the end.
  auto close() noexcept { return async_close(std::move(fd_)); }
  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }

 private:
  Fd fd_;
};

struct Pipe {
  PipeReader reader;
  PipeWriter writer;

  /// pipe2(2), which does not wait. EMFILE, ENFILE.
  [[nodiscard]] static Result<Pipe> create();
};

/// Standard input, output and error: a terminal, a pipe, a file or a socket; read and written at its own
/// position. A copy of the descriptor, so that closing it closes only the copy. EBADF when it is closed.
[[nodiscard]] Result<PipeReader> standard_input();
[[nodiscard]] Result<PipeWriter> standard_output();
[[nodiscard]] Result<PipeWriter> standard_error();

}  // namespace corering
