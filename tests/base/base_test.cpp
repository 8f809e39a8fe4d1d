/// base_test.cpp — results, descriptors, time, the futex event.
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include <corering/base/any_time_point.hpp>
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

TEST(Time, a_difference_stops_at_the_ends) {
  EXPECT_EQ(saturating_difference(TimePoint::min(), TimePoint(1ns)), Duration::min());
  EXPECT_EQ(saturating_difference(TimePoint::max(), TimePoint(-1ns)), Duration::max());
  EXPECT_EQ(saturating_difference(TimePoint(5ns), TimePoint(7ns)), -2ns);
}

template <class Unit>
class AnyUnit : public testing::Test {};
using Units = testing::Types<std::chrono::nanoseconds, std::chrono::microseconds, std::chrono::milliseconds,
                             std::chrono::seconds, std::chrono::minutes, std::chrono::hours,
                             std::chrono::days, std::chrono::years, std::chrono::duration<std::uint64_t>,
                             std::chrono::duration<std::int64_t, std::ratio<1'000'000'007>>>;
TYPED_TEST_SUITE(AnyUnit, Units);

TYPED_TEST(AnyUnit, has_a_longest_time_that_means_never) {
  EXPECT_EQ(Duration(AnyDuration(TypeParam::max())), Duration::max());
  const std::chrono::time_point<Clock, TypeParam> last(TypeParam::max());
  EXPECT_EQ(TimePoint(AnyTimePoint(last)), TimePoint::max());
}

TYPED_TEST(AnyUnit, does_not_wrap_around_in_the_past_either) {
  const Duration least = AnyDuration(TypeParam::min());
  EXPECT_EQ(least, std::is_unsigned_v<typename TypeParam::rep> ? Duration::zero() : Duration::min());
}

TYPED_TEST(AnyUnit, keeps_what_fits) {
  const TypeParam most = std::chrono::duration_cast<TypeParam>(Duration::max());
  EXPECT_EQ(Duration(AnyDuration(most)), Duration(most));
  EXPECT_EQ(Duration(AnyDuration(TypeParam(5))), Duration(TypeParam(5)));
}

TEST(AnyDuration, of_a_small_type_keeps_its_value) {
  using Short = std::chrono::duration<std::int8_t, std::ratio<3600>>;
  EXPECT_EQ(Duration(AnyDuration(Short::max())), 127h);
  EXPECT_EQ(Duration(AnyDuration(Short::min())), -128h);
  EXPECT_EQ(Duration(AnyDuration(std::chrono::duration<unsigned, std::milli>(4'000'000'000U))), 4'000'000s);
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
