/// control_calls_rows.cpp — the operations of control_calls.hpp: that each works, and how it fails.
#include <poll.h>

#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows control_calls_rows({
    {"NOP", [](Stage&) { return error_of(async_nop()); }, [](Stage&) { return refused(async_nop()); },
     std::errc::operation_canceled},
    {"NOP (INJECT_RESULT)",
     [](Stage&) -> Outcome {
       const Result<std::int32_t> result = co_await async_nop(42);
       if (!result) co_return result.error();
       EXPECT_EQ(*result, 42);
       co_return fine;
     },
     [](Stage&) { return error_of(async_nop(-ENOSPC)); }, std::errc::no_space_on_device,
     Feature::nop_inject_result},
    {"POLL_ADD",
     [](Stage& s) -> Outcome {
       const Result<unsigned> ready = co_await async_poll(s.writer, POLLOUT);
       if (!ready) co_return ready.error();
       EXPECT_EQ(*ready, static_cast<unsigned>(POLLOUT));
       co_return fine;
     },
     [](Stage&) { return error_of(async_poll(9999, POLLIN)); }, std::errc::bad_file_descriptor},
    {"POLL_REMOVE (UPDATE_EVENTS)",
     [](Stage& s) -> Outcome {
       std::error_code polled;
       const auto act = [](OperationTag& tag) { return error_of(async_poll_update(tag, POLLOUT)); };
       const std::error_code acted = co_await while_in_flight(async_poll(s.ours(), POLLPRI), act, polled);
       EXPECT_FALSE(polled) << "it waits for something that holds now";
       co_return acted;
     },
     [](Stage&) -> Outcome {
       OperationTag nothing;
       co_return co_await error_of(async_poll_update(nothing, POLLIN));
     },
     std::errc::no_such_file_or_directory},
    {"POLL_REMOVE",
     [](Stage& s) -> Outcome {
       std::error_code polled;
       const auto act = [](OperationTag& tag) { return error_of(async_poll_remove(tag)); };
       const std::error_code acted = co_await while_in_flight(async_poll(s.ours(), POLLIN), act, polled);
       EXPECT_EQ(polled, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) -> Outcome {
       OperationTag nothing;
       co_return co_await error_of(async_poll_remove(nothing));
     },
     std::errc::no_such_file_or_directory},
    {"ASYNC_CANCEL",
     [](Stage& s) -> Outcome {
       std::error_code ended;
       const auto act = [](OperationTag& tag) { return error_of(async_cancel(tag)); };
       const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
       EXPECT_EQ(ended, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) -> Outcome {
       OperationTag nothing;
       co_return co_await error_of(async_cancel(nothing));
     },
     std::errc::no_such_file_or_directory},
    {"ASYNC_CANCEL (FD)",
     [](Stage& s) -> Outcome {
       std::error_code ended;
       const auto act = [&s](OperationTag&) { return error_of(async_cancel(s.ours())); };
       const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
       EXPECT_EQ(ended, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) { return error_of(async_cancel(9999)); }, std::errc::bad_file_descriptor},
    {"ASYNC_CANCEL (OP)",
     [](Stage& s) -> Outcome {
       std::error_code ended;
       const auto act = [](OperationTag& tag) -> Outcome {
         const Result<unsigned> found = co_await async_cancel(Opcode::recv);
         if (!found) (void)co_await async_cancel(tag);
         co_return found ? fine : found.error();
       };
       const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
       EXPECT_EQ(ended, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) { return refused(async_cancel(Opcode::recv)); }, std::errc::operation_canceled,
     Feature::cancel_by_opcode},
    {"ASYNC_CANCEL (ANY)",
     [](Stage& s) -> Outcome {
       std::error_code ended;
       const auto act = [](OperationTag&) { return error_of(async_cancel_all()); };
       const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
       EXPECT_EQ(ended, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) { return refused(async_cancel_all()); }, std::errc::operation_canceled},
    {"TIMEOUT",
     [](Stage&) -> Outcome {
       const TimePoint begin = os::now();
       const Result<void> passed = co_await async_timeout(std::chrono::milliseconds(5));
       EXPECT_GE(os::now() - begin, std::chrono::milliseconds(5));
       co_return passed ? fine : passed.error();
     },
     [](Stage&) { return error_of(async_timeout(std::chrono::seconds(-5))); }, std::errc::invalid_argument},
    {"TIMEOUT (ABS)",
     [](Stage&) -> Outcome {
       for (const TimeoutClock clock :
            {TimeoutClock::monotonic, TimeoutClock::boottime, TimeoutClock::realtime}) {
         const std::array ids = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME};
         timespec now{};
         sys::clock_gettime(ids[static_cast<std::size_t>(clock)], &now);
         const Duration soon = std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec + 3'000'000);
         const TimePoint begin = os::now();
         const Result<void> passed = co_await async_timeout_at(soon, clock);
         if (!passed) co_return passed.error();
         EXPECT_GE(os::now() - begin, std::chrono::milliseconds(2));
         const Result<void> past = co_await async_timeout_at(Duration(1), clock);
         if (!past) co_return past.error();
         EXPECT_LT(os::now() - begin, std::chrono::hours(1));
       }
       co_return fine;
     },
     [](Stage&) { return error_of(async_timeout_at(std::chrono::seconds(-5))); },
     std::errc::invalid_argument},
    {"TIMEOUT_REMOVE (UPDATE)",
     [](Stage&) -> Outcome {
       std::error_code ended;
       const auto act = [](OperationTag& tag) {
         return error_of(async_timeout_update(tag, std::chrono::milliseconds(1)));
       };
       const std::error_code acted =
           co_await while_in_flight(async_timeout(std::chrono::hours(1)), act, ended);
       EXPECT_FALSE(ended) << "its new time has come";
       co_return acted;
     },
     [](Stage&) -> Outcome {
       OperationTag nothing;
       co_return co_await error_of(async_timeout_update(nothing, std::chrono::seconds(1)));
     },
     std::errc::no_such_file_or_directory},
    {"TIMEOUT_REMOVE",
     [](Stage&) -> Outcome {
       std::error_code ended;
       const auto act = [](OperationTag& tag) { return error_of(async_timeout_remove(tag)); };
       const std::error_code acted =
           co_await while_in_flight(async_timeout(std::chrono::hours(1)), act, ended);
       EXPECT_EQ(ended, std::errc::operation_canceled);
       co_return acted;
     },
     [](Stage&) -> Outcome {
       OperationTag nothing;
       co_return co_await error_of(async_timeout_remove(nothing));
     },
     std::errc::no_such_file_or_directory},
    {"LINK_TIMEOUT",
     [](Stage& s) -> Outcome {
       const auto done =
           co_await chain(async_recv(s.ours(), s.buffer), link_timeout(std::chrono::milliseconds(5)));
       if (!done) co_return done.error();
       const auto& [received, limited] = *done;
       EXPECT_EQ(received.error(), std::errc::operation_canceled);
       EXPECT_TRUE(limited && *limited) << "the time was over first";
       co_return fine;
     },
     [](Stage&) { return error_of(link_timeout(std::chrono::seconds(1))); }, std::errc::invalid_argument},
});

}  // namespace
}  // namespace corering::test
