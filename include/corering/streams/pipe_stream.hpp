/// pipe_stream.hpp — the ends of a pipe, and the process's own standard streams.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <corering/io/pipe_calls.hpp>
#include <corering/streams/close_in_order.hpp>
#include <corering/streams/streams.hpp>

namespace corering {

/// Owns the end that is read.
class PipeReader {
 public:
  explicit PipeReader(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// Reads what is there, at most `into.size()` bytes. Returns 0 when every writer has closed its end.
  auto read(std::span<std::byte> into) const noexcept { return async_read(fd_, into, current_position); }
  /// Makes a stream of what can be read, in buffers of `pool`. See ReadStream.
  [[nodiscard]] ReadStream stream(BufferPool& pool) const { return ReadStream(fd_, pool); }

  /// See close_in_order().
  [[nodiscard]] Task<Result<void>> close() { return close_in_order(std::move(fd_)); }
  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }

 private:
  Fd fd_;
};

/// Owns the end that is written.
class PipeWriter {
 public:
  explicit PipeWriter(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// Writes some of `from`, or all of it.
  /// errors: EPIPE when every reader has closed its end; workers block the signal
  auto write(std::span<const std::byte> from) const noexcept {
    return async_write(fd_, from, current_position);
  }
  /// Writes all of `from`, or fails.
  [[nodiscard]] Task<Result<void>> write_all(std::span<const std::byte> from) const;
  [[nodiscard]] Task<Result<void>> write_all(std::string_view from) const {
    return write_all(std::as_bytes(std::span(from)));
  }

  /// Closes this end. Then the reader reads the end of the stream. See close_in_order().
  [[nodiscard]] Task<Result<void>> close() { return close_in_order(std::move(fd_)); }
  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }

 private:
  Fd fd_;
};

struct Pipe {
  PipeReader reader;
  PipeWriter writer;

  /// Makes a pipe. It does not wait.
  /// errors: EMFILE, ENFILE · follows: pipe2(2)
  [[nodiscard]] static Result<Pipe> create();
};

/// Return the standard input, output and error: a terminal, a pipe, a file or a socket, which is read or
/// written at its own position. The result owns a copy of the descriptor, so closing it closes only the copy.
/// errors: EBADF when the standard stream is closed
[[nodiscard]] Result<PipeReader> standard_input();
[[nodiscard]] Result<PipeWriter> standard_output();
[[nodiscard]] Result<PipeWriter> standard_error();

}  // namespace corering
