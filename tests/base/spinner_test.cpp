/// spinner_test.cpp — when watching is switched on and off.
#include "base/spinner.hpp"

#include <ctime>

#include <corering/base/one_shot.hpp>
#include <corering/corering.hpp>
#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

void sleep_shortly(Spinner& spinner, int times) {
  for (int i = 0; i < times; ++i) spinner.slept(10us);
}

TEST(Spinner, watches_after_four_short_sleeps_in_a_row) {
  Spinner spinner(100us, true);
  sleep_shortly(spinner, 3);
  spinner.slept(300us);  // not short
  sleep_shortly(spinner, 3);
  EXPECT_FALSE(spinner.is_on());
  sleep_shortly(spinner, 1);
  EXPECT_TRUE(spinner.is_on());
}

TEST(Spinner, needs_twice_as_many_after_each_time_in_vain) {
  Spinner spinner(100us, true);
  int needed = 4;
  for (int failures = 0; failures < 12; ++failures) {
    sleep_shortly(spinner, needed - 1);
    EXPECT_FALSE(spinner.is_on()) << failures;
    sleep_shortly(spinner, 1);
    ASSERT_TRUE(spinner.is_on()) << failures;
    spinner.found_nothing();
    EXPECT_FALSE(spinner.is_on());
    needed = std::min(2 * needed, 1024);
  }
  // The number stays high until watching has been worth it.
  sleep_shortly(spinner, needed);
  for (int i = 0; i < 16; ++i) spinner.found();
  spinner.found_nothing();
  sleep_shortly(spinner, 4);
  EXPECT_TRUE(spinner.is_on());
}

TEST(Spinner, never_watches_without_a_budget_or_alone) {
  for (Spinner spinner : {Spinner(0us, true), Spinner(100us, false)}) {
    sleep_shortly(spinner, 100);
    EXPECT_FALSE(spinner.may_be_on());
    EXPECT_FALSE(spinner.is_on());
  }
}

}  // namespace
}  // namespace corering
