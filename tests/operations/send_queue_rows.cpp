/// send_queue_rows.cpp — the operations of send_queue.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows send_queue_rows({
    {"SEND (BUNDLE)",
     [](Stage& s) -> Outcome {
       Result<SendQueue> queue = SendQueue::create(4);
       if (!queue) co_return queue.error();
       std::string expected;
       for (int round = 0; round < 10; ++round) {  // goes past the end of the ring
         const std::string one = std::to_string(round), two = "-" + one + ";";
         EXPECT_TRUE(queue->push(bytes_of(one)) && queue->push(bytes_of(two)));
         expected += one;
         expected += two;
         const Result<std::size_t> put = co_await async_send_bundle(s.ours(), *queue);
         if (!put) co_return put.error();
         EXPECT_EQ(*put, one.size() + two.size());
         EXPECT_TRUE(queue->empty());
       }
       EXPECT_EQ(s.received(), expected);
       for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue->push(bytes_of("x")));
       EXPECT_FALSE(queue->push(bytes_of("x"))) << "it is full";
       EXPECT_FALSE(queue->push({})) << "nothing is no buffer";
       EXPECT_EQ(SendQueue::create(3).error(), std::errc::invalid_argument);
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       s.pair.theirs.reset();
       Result<SendQueue> queue = SendQueue::create(4);
       if (!queue) co_return queue.error();
       EXPECT_TRUE(queue->push(bytes_of("x")));
       co_return co_await error_of(async_send_bundle(s.ours(), *queue));
     },
     std::errc::broken_pipe},
});

}  // namespace
}  // namespace corering::test
