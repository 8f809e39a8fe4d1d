/// registered_buffers_test.cpp — registered buffers are lent and come back.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> lends_registered() {
  Result<RegisteredBuffers> buffers = RegisteredBuffers::create({.count = 2, .size = 4096});
  EXPECT_TRUE(buffers);
  if (!buffers) co_return;
  FixedBuffer one = buffers->lend();
  const FixedBuffer two = buffers->lend();
  EXPECT_TRUE(one.is_lent() && two.is_lent());
  EXPECT_FALSE(buffers->lend().is_lent()) << "all are lent";
  one = FixedBuffer();
  EXPECT_TRUE(buffers->lend().is_lent()) << "it gave itself back";
}

TEST(RegisteredBuffers, lend_themselves_and_come_back) { run_on_a_worker_here(lends_registered()); }

}  // namespace
}  // namespace corering
