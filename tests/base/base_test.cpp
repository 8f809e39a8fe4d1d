/// base_test.cpp — results, descriptors, time, the futex event.
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/fd.hpp>
#include <corering/base/one_shot.hpp>
#include <corering/base/result.hpp>
#include <corering/base/time.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using namespace std::chrono_literals;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Result, a_failure_compares_with_std_errc) {
  const Result<int> result = failure(ENOENT);
  EXPECT_EQ(result.error(), std::errc::no_such_file_or_directory);
}

TEST(Fd, closes_what_it_owns) {
  const int number = ::dup(0);
  {
    const Fd fd(number);
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, an_empty_one_closes_nothing) {
  {
    const Fd fd;
  }
  EXPECT_TRUE(is_open(0));
}

TEST(Fd, a_move_leaves_one_owner) {
  Fd first(::dup(0));
  const int number = first.get();
  Fd second = std::move(first);
  first.reset();
  EXPECT_TRUE(is_open(number));
  EXPECT_EQ(second.get(), number);
}

TEST(Fd, released_is_not_closed) {
  Fd fd(::dup(0));
  const int number = fd.release();
  fd.reset();
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(Time, addition_stops_at_the_ends) {
  EXPECT_EQ(saturating_add(TimePoint(5ns), Duration::max()), TimePoint::max());
  EXPECT_EQ(saturating_add(TimePoint(-5ns), Duration::min()), TimePoint::min());
  EXPECT_EQ(saturating_add(TimePoint(5ns), 7ns), TimePoint(12ns));
}

TEST(OneShot, wakes_the_thread_that_waits) {
  OneShot event;
  int written_before = 0;
  std::thread setter([&] {
    written_before = 42;
    event.set();
  });
  event.wait();
  EXPECT_EQ(written_before, 42);
  setter.join();
}

TEST(OneShot, a_wait_with_a_deadline_ends_without_the_event) {
  OneShot event;
  const TimePoint deadline = Clock::now() + 5ms;
  EXPECT_FALSE(event.wait_until(deadline));
  EXPECT_GE(Clock::now(), deadline);
}

TEST(AssertDeathTest, says_what_was_expected_and_where) {
  EXPECT_DEATH(CORERING_ASSERT(1 + 1 == 3, "arithmetic holds"),
               "arithmetic holds.*1 \\+ 1 == 3.*base_test.cpp");
}

}  // namespace
}  // namespace corering
