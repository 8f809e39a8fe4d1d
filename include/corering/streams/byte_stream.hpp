/// byte_stream.hpp — reading and writing through a buffer, whatever is behind it.
///
/// What is behind is borrowed, not owned, and outlives these: anything with `read(std::span<std::byte>)` or
/// `write(std::span<const std::byte>)` that can be awaited for a Result<std::size_t>, 0 being the end: a
/// TcpStream, a File, a PipeReader, an object of your own.
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

/// A source or a sink of any type, as one type.
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

/// Reads ahead into a buffer of its own. If a read fails or is cancelled, what has been read ahead is kept,
/// and the next call goes on with it. One call at a time.
class Reader {
 public:
  template <ByteSource Source>
  explicit Reader(Source& source, std::size_t buffer_size = 16 * 1024)
      : source_(source), buffer_(buffer_size > 0 ? buffer_size : 1) {}

  /// What there is, at most `into.size()` bytes; 0 is the end.
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> into);

  /// Fills `into`. StreamErrc::end if the stream ends before the first byte, unexpected_end if after it: then
  /// those bytes are in `into` and gone from here.
  [[nodiscard]] Task<Result<void>> read_exact(std::span<std::byte> into);

  /// Everything up to and with the next `delimiter`, which is not empty. The text is the reader's, and valid
  /// until the next call. StreamErrc::end at the end, unexpected_end if it comes before the delimiter,
  /// too_long if `limit` bytes come without it; nothing is lost by the last two.
  [[nodiscard]] Task<Result<std::string_view>> read_until(std::string_view delimiter,
                                                          std::size_t limit = 64 * 1024);

  /// The next line without its "\n" or "\r\n"; also a last one that has none. Otherwise as read_until().
  [[nodiscard]] Task<Result<std::string_view>> read_line(std::size_t limit = 64 * 1024);

  /// What has been read ahead, and not been asked for.
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

/// Collects what is written until a buffer is full. Destroying it drops what has not been flushed. One call
/// at a time. After an error it is not known how much has gone.
class Writer {
 public:
  template <ByteSink Sink>
  explicit Writer(Sink& sink, std::size_t buffer_size = 16 * 1024)
      : sink_(sink), capacity_(buffer_size > 0 ? buffer_size : 1) {
    buffer_.reserve(capacity_);
  }

  /// All of `from`, into the buffer or, when that is full, out.
  [[nodiscard]] Task<Result<void>> write_all(std::span<const std::byte> from);
  [[nodiscard]] Task<Result<void>> write_all(std::string_view from) {
    return write_all(std::as_bytes(std::span(from)));
  }
  /// Writes out what is in the buffer.
  [[nodiscard]] Task<Result<void>> flush();

  /// Bytes that flush() would write.
  [[nodiscard]] std::size_t buffered() const noexcept { return buffer_.size(); }

 private:
  Task<Result<void>> write_out(std::span<const std::byte> from);

  detail::AnySink sink_;
  std::size_t capacity_;
  std::vector<std::byte> buffer_;
};

}  // namespace corering
