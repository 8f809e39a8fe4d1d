/// byte_stream.cpp — the buffers of Reader and Writer.
#include <algorithm>
#include <cstring>

#include <corering/base/assert.hpp>
#include <corering/base/rest_of.hpp>
#include <corering/streams/byte_stream.hpp>

namespace corering {
namespace {

std::unexpected<std::error_code> ended(StreamErrc how) noexcept {
  return std::unexpected(make_error_code(how));
}

}  // namespace

// ---- Reader ----

/// Reads more bytes into the buffer. Returns 0 at the end.
Task<Result<std::size_t>> Reader::fill() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.size() && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  const std::span<std::byte> room = std::span(buffer_).subspan(end_);
  Result<std::size_t> got = co_await source_.read(room);
  if (got) end_ += * got = std::min(*got, room.size());  // a source may say what it likes
  co_return got;
}

std::string_view Reader::take(std::size_t count) noexcept {
  const std::string_view taken = buffered().substr(0, count);
  begin_ += taken.size();
  return taken;
}

Task<Result<std::size_t>> Reader::read(std::span<std::byte> into) {
  if (begin_ == end_) {
    // A read that would fill the whole buffer need not go through it.
    if (into.size() >= buffer_.size()) {
      Result<std::size_t> got = co_await source_.read(into);
      if (got) *got = std::min(*got, into.size());
      co_return got;
    }
    const Result<std::size_t> got = co_await fill();
    if (!got) co_return got;
  }
  const std::string_view some = take(into.size());
  std::memcpy(into.data(), some.data(), some.size());
  co_return some.size();
}

Task<Result<void>> Reader::read_exact(std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const Result<std::size_t> got = co_await read(into.subspan(done));
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return ended(done == 0 ? StreamErrc::end : StreamErrc::unexpected_end);
    done += *got;
  }
  co_return Result<void>();
}

Task<Result<std::string_view>> Reader::read_until(std::string_view delimiter, std::size_t limit) {
  CORERING_ASSERT(!delimiter.empty(), "read_until() needs a delimiter that is not empty");
  std::size_t searched = 0;
  for (;;) {
    const std::string_view there = buffered();
    const std::size_t found = there.find(delimiter, searched);
    const std::size_t length = found == std::string_view::npos ? there.size() : found + delimiter.size();
    if (length > limit || (found == std::string_view::npos && length == limit)) {
      co_return ended(StreamErrc::too_long);
    }
    if (found != std::string_view::npos) co_return take(length);
    // The delimiter may have begun at the end of the bytes that are there.
    searched = there.size() - std::min(there.size(), delimiter.size() - 1);
    const Result<std::size_t> got = co_await fill();
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return ended(buffered().empty() ? StreamErrc::end : StreamErrc::unexpected_end);
  }
}

Task<Result<std::string_view>> Reader::read_line(std::size_t limit) {
  Result<std::string_view> line = co_await read_until("\n", limit);
  if (!line && line.error() == make_error_code(StreamErrc::unexpected_end)) co_return take(buffered().size());
  if (!line) co_return line;
  line->remove_suffix(line->ends_with("\r\n") ? 2 : 1);
  co_return line;
}

// ---- Writer ----

Task<Result<void>> Writer::write_out(std::span<const std::byte> from) {
  while (!from.empty()) {
    const Result<std::size_t> put = co_await sink_.write(from);
    if (!put) co_return std::unexpected(put.error());
    if (*put == 0) co_return ended(StreamErrc::unexpected_end);  // the sink would never take it
    from = rest_of(from, *put);
  }
  co_return Result<void>();
}

Task<Result<void>> Writer::flush() {
  const Result<void> written = co_await write_out(buffer_);
  buffer_.clear();
  co_return written;
}

Task<Result<void>> Writer::write_all(std::span<const std::byte> from) {
  if (buffer_.size() + from.size() > capacity_) {
    const Result<void> flushed = co_await flush();
    if (!flushed) co_return flushed;
    if (from.size() >= capacity_) co_return co_await write_out(from);
  }
  buffer_.insert(buffer_.end(), from.begin(), from.end());
  co_return Result<void>();
}

}  // namespace corering
