/// byte_stream.hpp — buffered reading and writing, with any source or sink of bytes.
///
/// A Reader or Writer borrows its source or sink and does not own it: you must keep that object alive longer.
/// It is any object with `read(std::span<std::byte>)` or `write(std::span<const std::byte>)` that can be
/// awaited for a Result<std::size_t>, where 0 means the end: a TcpStream, a File, a PipeReader, or an object
/// of your own class.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/core/task.hpp>
#include <corering/streams/stream_error.hpp>

namespace corering {

template <class T>
concept ByteSource = requires(T& source, std::span<std::byte> into) { source.read(into); };
template <class T>
concept ByteSink = requires(T& sink, std::span<const std::byte> from) { sink.write(from); };

namespace detail {

/// These hold a source or a sink of any type, as one type.
class AnySource {
 public:
  template <ByteSource Source>
  explicit AnySource(Source& source) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(&source))), read_(&read_some<Source>) {}
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> into) { return read_(object_, into); }

 private:
  template <class Source>
  static Task<Result<std::size_t>> read_some(void* object, std::span<std::byte> into) {
    co_return co_await static_cast<Source*>(object)->read(into);
  }
  void* object_;
  Task<Result<std::size_t>> (*read_)(void*, std::span<std::byte>);
};

class AnySink {
 public:
  template <ByteSink Sink>
  explicit AnySink(Sink& sink) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(&sink))), write_(&write_some<Sink>) {}
  [[nodiscard]] Task<Result<std::size_t>> write(std::span<const std::byte> from) {
    return write_(object_, from);
  }

 private:
  template <class Sink>
  static Task<Result<std::size_t>> write_some(void* object, std::span<const std::byte> from) {
    co_return co_await static_cast<Sink*>(object)->write(from);
  }
  void* object_;
  Task<Result<std::size_t>> (*write_)(void*, std::span<const std::byte>);
};

}  // namespace detail

/// Reads ahead into its own buffer.
/// cancelled: the bytes that have been read ahead are kept, and the next call continues with them; the same
///   after an error
/// keep alive: the source, longer than the Reader · thread: one call at a time
class Reader {
 public:
  template <ByteSource Source>
  explicit Reader(Source& source, std::size_t buffer_size = 16 * 1024)
      : source_(source), buffer_(buffer_size > 0 ? buffer_size : 1) {}

  /// Reads what is there, at most `into.size()` bytes. Returns 0 at the end.
  /// suspends: only if nothing is buffered
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> into);
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<char> into) {
    return read(std::as_writable_bytes(into));
  }

  /// Fills `into`. If the stream ends after the first byte, the bytes that came are in `into` and no longer
  /// in the reader.
  /// errors: StreamErrc::end if the stream ends before the first byte, unexpected_end if it ends after it
  [[nodiscard]] Task<Result<void>> read_exact(std::span<std::byte> into);

  /// Reads everything up to and including the next `delimiter`, which must not be empty. The text belongs to
  /// the reader and is valid until the next call.
  /// errors: StreamErrc::end at the end · unexpected_end if the end comes before the delimiter · too_long if
  ///   `limit` bytes come without it · the last two lose nothing
  [[nodiscard]] Task<Result<std::string_view>> read_until(std::string_view delimiter,
                                                          std::size_t limit = 64 * 1024);

  /// Reads the next line and returns it without its "\n" or "\r\n". A last line that has neither is also
  /// returned. Everything else is as in read_until().
  [[nodiscard]] Task<Result<std::string_view>> read_line(std::size_t limit = 64 * 1024);

  /// Returns the bytes that have been read ahead and that nobody has asked for.
  [[nodiscard]] std::string_view buffered() const noexcept {
    return {reinterpret_cast<const char*>(buffer_.data()) + begin_, end_ - begin_};
  }

 private:
  Task<Result<std::size_t>> fill();
  [[nodiscard]] std::string_view take(std::size_t count) noexcept;

  detail::AnySource source_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Collects what is written until its buffer is full. Destroying it drops the bytes that have not been
/// flushed.
/// errors: after an error it is not known how many bytes were written
/// keep alive: the sink, longer than the Writer · thread: one call at a time
class Writer {
 public:
  template <ByteSink Sink>
  explicit Writer(Sink& sink, std::size_t buffer_size = 16 * 1024)
      : sink_(sink), capacity_(buffer_size > 0 ? buffer_size : 1) {
    buffer_.reserve(capacity_);
  }

  /// Writes all of `from`: into the buffer or, when that is full, to the sink.
  /// suspends: only if the buffer has no room for `from`
  [[nodiscard]] Task<Result<void>> write_all(std::span<const std::byte> from);
  [[nodiscard]] Task<Result<void>> write_all(std::string_view from) {
    return write_all(std::as_bytes(std::span(from)));
  }
  /// Writes out what is in the buffer.
  [[nodiscard]] Task<Result<void>> flush();

  /// Returns how many bytes flush() would write.
  [[nodiscard]] std::size_t buffered() const noexcept { return buffer_.size(); }

 private:
  Task<Result<void>> write_out(std::span<const std::byte> from);

  detail::AnySink sink_;
  std::size_t capacity_;
  std::vector<std::byte> buffer_;
};

}  // namespace corering
