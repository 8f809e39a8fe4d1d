/// descriptor_use_test.cpp — a descriptor is closed while requests still name its number.
#include <fcntl.h>

#include "support/story.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

std::string content(int fd) {
  std::array<char, 32> bytes{};
  const ssize_t length = test::sys::pread(fd, bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

Task<void> writes(int fd, std::string_view text) {
  (void)co_await async_write(fd, std::as_bytes(std::span(text)), 0);
}
/// Fills a write, and before the kernel has it lets another file take the number of its file.
Task<void> closes_too_early(const std::string& first, const std::string& second, int others) {
  std::vector<JoinHandle<void>> before;
  Fd file(test::sys::open(first.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const int number = file.get();
  const Fd sink(test::sys::open("/dev/null", O_WRONLY | O_CLOEXEC));
  for (int i = 0; i < others; ++i) before.push_back(spawn(writes(sink.get(), "x")));
  before.push_back(spawn(writes(number, "meant for the first")));
  const auto acts = [&]() -> Task<void> {  // it runs after the writes have been filled, in the same turn
    file.reset();
    const Fd other(test::sys::open(second.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(other.get(), number);
    for (JoinHandle<void>& each : before) co_await std::move(each);
    EXPECT_EQ(content(other.get()), "");
  };
  co_await spawn(acts());
}
TEST(Closing, lets_the_kernel_have_the_requests_that_name_the_descriptor) {
  test::TemporaryDirectory directory;
  test::run_on_a_worker_here(closes_too_early(directory / "first", directory / "second", 0));
}
TEST(Closing, never_lets_a_parked_request_go_to_the_next_owner) {
  test::TemporaryDirectory directory;
  test::run_on_a_worker_here(closes_too_early(directory / "first", directory / "second", 9),
                             {.sq_entries = 4});
}

Task<void> drops_under_a_stream() {
  test::SocketPair pair;
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  RecvStream stream(pair.ours, *pool);
  EXPECT_EQ(test::sys::write(pair.theirs.get(), "1", 1), 1);
  EXPECT_TRUE(co_await stream.next());
  pair.ours.reset();
  pair.theirs.reset();  // this ends what is armed
  for (int i = 0; i < 3; ++i) {
    const Result<LentBuffer> piece = co_await stream.next();
    EXPECT_FALSE(piece);
  }
}
TEST(Closing, ends_a_stream_on_the_number) { test::run_on_a_worker_here(drops_under_a_stream()); }

Task<Result<void>> feeds(Child& child) {
  const std::vector<std::byte> much(1 << 20);
  co_return co_await child.input()->write_all(much);
}
Task<void> waits_while_it_is_fed() {
  Result<Child> child = Child::spawn({"true"}, {.input = ChildOptions::Stream::pipe});
  EXPECT_TRUE(child);
  auto both = co_await when_all(feeds(*child), child->wait());
  EXPECT_FALSE(std::get<0>(both)) << "nobody reads it";
  EXPECT_TRUE(std::get<1>(both));
}
TEST(Closing, the_input_of_a_child_ends_what_is_written_to_it) {
  test::run_on_a_worker_here(waits_while_it_is_fed());
}

}  // namespace
}  // namespace corering
