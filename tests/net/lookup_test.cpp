/// lookup_test.cpp — names to addresses.
#include <sched.h>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> looks_up(BlockingPool& pool) {
  const auto found = co_await lookup(pool, "localhost", "80");
  EXPECT_TRUE(found) << found.error().message();
  if (found) {
    EXPECT_FALSE(found->empty());
    for (const Address& address : *found) {
      EXPECT_TRUE(address.get()->sa_family == AF_INET || address.get()->sa_family == AF_INET6);
    }
  }
  const auto unknown = co_await lookup(pool, "no-such-name.invalid", "80");
  EXPECT_FALSE(unknown);
  if (!unknown) {
    EXPECT_EQ(unknown.error().category(), lookup_category()) << unknown.error().message();
  }
  const auto bad = co_await lookup(pool, "localhost", "no-such-service");
  EXPECT_FALSE(bad);
}

TEST(Lookup, finds_what_is_in_the_hosts_file) {
  BlockingPool pool;
  test::run_on_a_worker_here(looks_up(pool));
}

}  // namespace
}  // namespace corering
