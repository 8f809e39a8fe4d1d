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

Task<void> looks_up_ports(BlockingPool& pool, std::string host) {
  for (const char* const port :
       {"65536", "65616", "99999999999", "", " ", " 80", "80 ", "+80", "-1", "\t80", "8 0"}) {
    const auto found = co_await lookup(pool, host, port);
    EXPECT_EQ(found.error(), make_error_code(AddressErrc::port)) << "'" << port << "'";
  }
  for (const char* const port : {"0", "80", "65535"}) {
    const auto found = co_await lookup(pool, host, port);
    EXPECT_TRUE(found && !found->empty() && found->front().port() == std::stoul(port)) << port;
  }
}

TEST(Lookup, takes_only_numbers_that_are_ports) {
  BlockingPool pool;
  test::run_on_a_worker_here(looks_up_ports(pool, "127.0.0.1"));
  test::run_on_a_worker_here(looks_up_ports(pool, ""));
}

}  // namespace
}  // namespace corering
