/// epoll_calls_rows.cpp — the operations of epoll_calls.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows epoll_calls_rows({
    {"EPOLL_CTL",
     [](Stage& s) -> Outcome {
       const Fd set(::epoll_create1(EPOLL_CLOEXEC));
       epoll_event event{.events = EPOLLOUT, .data = {.u64 = 7}};
       const Result<void> added = co_await async_epoll_ctl(set.get(), EPOLL_CTL_ADD, s.ours(), &event);
       EXPECT_EQ(::epoll_wait(set.get(), &event, 1, 0), 1);
       co_return added ? fine : added.error();
     },
     [](Stage& s) -> Outcome {
       const Fd set(::epoll_create1(EPOLL_CLOEXEC));
       epoll_event event{.events = EPOLLOUT, .data = {.u64 = 7}};
       co_return co_await error_of(async_epoll_ctl(set.get(), EPOLL_CTL_ADD, s.file.get(), &event));
     },
     std::errc::operation_not_permitted},
    {"EPOLL_WAIT",
     [](Stage& s) -> Outcome {
       const Fd set(::epoll_create1(EPOLL_CLOEXEC));
       epoll_event event{.events = EPOLLIN, .data = {.u64 = 7}};
       EXPECT_EQ(::epoll_ctl(set.get(), EPOLL_CTL_ADD, s.ours(), &event), 0);
       std::array<epoll_event, 4> found{};
       auto waiting = spawn(async_epoll_wait(set.get(), found));
       (void)co_await async_nop();
       s.sends("x");
       const Result<std::size_t> count = co_await std::move(waiting);
       if (!count) co_return count.error();
       EXPECT_EQ(*count, 1U);
       EXPECT_EQ(std::uint64_t{found[0].data.u64}, 7U) << "a packed struct: no reference to its field";
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       std::array<epoll_event, 4> found{};
       co_return co_await error_of(async_epoll_wait(s.file.get(), found));
     },
     std::errc::invalid_argument},
});

}  // namespace
}  // namespace corering::test
