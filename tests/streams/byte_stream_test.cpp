/// byte_stream_test.cpp — reading and writing through a buffer, cut anywhere.
#include <algorithm>
#include <cstring>

#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

/// Gives a text in pieces of a few bytes, and then the end, or an error.
class Pieces {
 public:
  Pieces(std::string text, std::size_t piece, int error = 0)
      : text_(std::move(text)), piece_(piece), error_(error) {}
  Task<Result<std::size_t>> read(std::span<std::byte> into) {
    const std::size_t count = std::min({piece_, into.size(), text_.size() - at_});
    if (count == 0 && error_ != 0) co_return failure(error_);
    std::memcpy(into.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t piece_;
  int error_;
  std::size_t at_ = 0;
};

Task<void> reads_lines(std::size_t piece, std::size_t buffer_size) {
  Pieces source("one\ntwo\r\n\n" + std::string(1000, 'x') + "\nlast", piece);
  Reader reader(source, buffer_size);
  const std::vector<std::string> all = {"one", "two", "", std::string(1000, 'x'), "last"};
  for (const std::string& expected : all) {
    const Result<std::string_view> line = co_await reader.read_line();
    EXPECT_TRUE(line && *line == expected) << expected;
  }
  const Result<std::string_view> end = co_await reader.read_line();
  EXPECT_TRUE(!end && is_end(end.error()));
}

TEST(Reader, reads_lines_however_they_come) {
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 5000U}) {
    for (const std::size_t buffer : {1U, 4U, 16U, 4096U}) run_on_a_worker_here(reads_lines(piece, buffer));
  }
}

Task<void> reads_until(std::size_t piece) {
  Pieces source("GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\r\n\r", piece);
  Reader reader(source, 8);
  const Result<std::string_view> head = co_await reader.read_until("\r\n\r\n");
  EXPECT_TRUE(head && *head == "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::array<std::byte, 4> body{};
  const Result<void> exact = co_await reader.read_exact(body);
  EXPECT_TRUE(exact && text_of(body) == "body");
  const Result<std::string_view> cut = co_await reader.read_until("\r\n\r\n");
  EXPECT_EQ(cut.error(), make_error_code(StreamErrc::unexpected_end));
  EXPECT_EQ(reader.buffered(), "\r\n\r") << "nothing is lost";
}

TEST(Reader, finds_a_delimiter_across_pieces) {
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 100U}) run_on_a_worker_here(reads_until(piece));
}

Task<void> limits() {
  Pieces source(std::string(100, 'x') + "\n", 10);
  Reader reader(source, 16);
  const Result<std::string_view> long_line = co_await reader.read_line(50);
  EXPECT_EQ(long_line.error(), make_error_code(StreamErrc::too_long));
  const Result<std::string_view> line = co_await reader.read_line(101);
  EXPECT_TRUE(line && line->size() == 100);
  Pieces failing("abc", 3, EIO);
  Reader broken(failing, 16);
  std::array<std::byte, 4> four{};
  const Result<std::string_view> error = co_await broken.read_line();
  EXPECT_EQ(error.error(), std::errc::io_error);
  EXPECT_EQ(broken.buffered(), "abc");
  const Result<void> exact = co_await broken.read_exact(four);
  EXPECT_EQ(exact.error(), std::errc::io_error);
}

TEST(Reader, has_limits_and_keeps_what_came_before_an_error) { run_on_a_worker_here(limits()); }

/// Takes a few bytes at a time.
class Slow {
 public:
  explicit Slow(std::size_t most) : most_(most) {}
  Task<Result<std::size_t>> write(std::span<const std::byte> from) {
    ++calls;
    const std::size_t count = std::min(most_, from.size());
    text += text_of(from.first(count));
    if (count == 0) co_return failure(ENOSPC);
    co_return count;
  }
  std::string text;
  int calls = 0;

 private:
  std::size_t most_;
};
Task<void> writes(std::size_t most) {
  Slow sink(most);
  Writer writer(sink, 8);
  std::string expected;
  for (const char* const text : {"a", "bcd", "efghijklmnop", "", "qrstuvwx", "yz"}) {
    const Result<void> put = co_await writer.write_all(std::string_view(text));
    EXPECT_TRUE(put);
    expected += text;
  }
  EXPECT_EQ(writer.buffered(), 2U);
  const Result<void> flushed = co_await writer.flush();
  EXPECT_TRUE(flushed);
  EXPECT_EQ(sink.text, expected);
}

TEST(Writer, writes_everything_in_order) {
  for (const std::size_t most : {1U, 3U, 100U}) run_on_a_worker_here(writes(most));
}
Task<void> writes_in_vain() {
  Slow full(0);
  Writer writer(full, 8);
  const Result<void> put = co_await writer.write_all(std::string_view("short"));
  EXPECT_TRUE(put) << "it is in the buffer";
  const Result<void> flushed = co_await writer.flush();
  EXPECT_EQ(flushed.error(), std::errc::no_space_on_device);
}

TEST(Writer, reports_when_flushing_fails) { run_on_a_worker_here(writes_in_vain()); }

}  // namespace
}  // namespace corering
