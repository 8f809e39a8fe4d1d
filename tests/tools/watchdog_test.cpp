/// watchdog_test.cpp — what ends a recording from outside.
#include "iotrace/watchdog.hpp"

#include <csignal>
#include <unistd.h>

#include <corering/corering.hpp>
#include <gtest/gtest.h>

namespace {

using corering::Result;
using corering::Worker;
using iotrace::HeldSignals;
using iotrace::Watchdog;
using namespace std::chrono_literals;

// The first worker may have done its work when the signal comes. The next one must not begin all the same.
TEST(Watchdogs, stop_every_later_worker_after_a_signal) {
  HeldSignals signals;
  for (const bool is_first : {true, false}) {
    Worker worker;
    ASSERT_TRUE(worker.start());
    const Watchdog watchdog(signals, worker, 1h);
    if (is_first) ::kill(::getpid(), SIGTERM);  // raise() would send it to this thread alone
    const Result<void> slept = corering::sync_wait(corering::sleep_for(1h).on(worker));
    EXPECT_FALSE(slept);
    EXPECT_EQ(watchdog.signal(), SIGTERM);
    EXPECT_FALSE(watchdog.has_timed_out());
  }
}

}  // namespace
