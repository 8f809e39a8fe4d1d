/// one_shot_test.cpp — an event that happens once, between two threads.
#include <ctime>
#include <thread>

#include <corering/base/one_shot.hpp>
#include <corering/corering.hpp>
#include <gtest/gtest.h>

#include "base/spinner.hpp"
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

TEST(OneShot, is_set_before_or_while_it_is_waited_for) {
  OneShot before;
  before.set();
  before.wait();
  EXPECT_TRUE(before.is_set());
  for (int i = 0; i < 2000; ++i) {
    OneShot while_waiting;
    std::thread setter([&] { while_waiting.set(); });
    while_waiting.wait();
    EXPECT_TRUE(while_waiting.is_set());
    setter.join();
  }
}

TEST(OneShot, gives_up_and_can_still_be_set) {
  OneShot event;
  EXPECT_FALSE(event.wait_until(Clock::now() + 5ms));
  EXPECT_FALSE(event.is_set());
  event.set();
  EXPECT_TRUE(event.wait_until(Clock::now()));
}

}  // namespace
}  // namespace corering
