/// futex_calls_rows.cpp — the operations of futex_calls.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows futex_calls_rows({
    {"FUTEX_WAIT",
     [](Stage&) -> Outcome {
       std::atomic<std::uint32_t> word = 1;
       JoinHandle<std::error_code> waiting = spawn(error_of(async_futex_wait(word, 1)));
       unsigned woken = 0;
       while (woken == 0 && !waiting.done()) {
         const Result<unsigned> count = co_await async_futex_wake(word);
         if (!count) co_return count.error();
         woken += *count;
       }
       co_return co_await std::move(waiting);
     },
     [](Stage&) -> Outcome {
       std::atomic<std::uint32_t> word = 1;
       co_return co_await error_of(async_futex_wait(word, 2));
     },
     std::errc::resource_unavailable_try_again, Opcode::futex_wait},
    {"FUTEX_WAKE",
     [](Stage&) -> Outcome {
       std::atomic<std::uint32_t> word = 1;
       const Result<unsigned> woken = co_await async_futex_wake(word);
       if (!woken) co_return woken.error();
       EXPECT_EQ(*woken, 0U);
       co_return fine;
     },
     [](Stage&) {
       const auto* const nowhere = reinterpret_cast<const std::atomic<std::uint32_t>*>(4096);
       return error_of(async_futex_wake(*nowhere, 1, FutexScope::shared_memory));
     },
     std::errc::bad_address},
    {"FUTEX_WAITV",
     [](Stage&) -> Outcome {
       std::array<std::atomic<std::uint32_t>, 2> words{};
       std::array<futex_waitv, 2> waits{};
       for (std::size_t i = 0; i < 2; ++i) {
         waits[i].uaddr = reinterpret_cast<std::uintptr_t>(&words[i]);
         waits[i].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
       }
       auto waiting = spawn([](std::span<const futex_waitv> these) -> Task<Result<std::size_t>> {
         co_return co_await async_futex_waitv(these);
       }(waits));
       while (!waiting.done()) {
         const Result<unsigned> count = co_await async_futex_wake(words[1]);
         if (!count) co_return count.error();
       }
       const Result<std::size_t> which = co_await std::move(waiting);
       if (!which) co_return which.error();
       EXPECT_EQ(*which, 1U);
       co_return fine;
     },
     [](Stage&) { return error_of(async_futex_waitv({})); }, std::errc::invalid_argument,
     Opcode::futex_waitv},
});

}  // namespace
}  // namespace corering::test
