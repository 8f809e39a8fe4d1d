/// process_calls_rows.cpp — the operations of process_calls.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows process_calls_rows({
    {"WAITID",
     [](Stage&) -> Outcome {
       siginfo_t how{};
       const pid_t sleeper = ::fork();
       if (sleeper == 0) ::pause();
       const Result<void> at_once =
           co_await async_waitid(P_PID, static_cast<id_t>(sleeper), how, WEXITED | WNOHANG);
       EXPECT_TRUE(at_once && how.si_pid == 0) << "it runs still";
       ::kill(sleeper, SIGKILL);
       ::waitpid(sleeper, nullptr, 0);
       const pid_t child = ::fork();
       if (child == 0) ::_exit(7);
       const Result<void> ended = co_await async_waitid(P_PID, static_cast<id_t>(child), how, WEXITED);
       if (!ended) co_return ended.error();
       EXPECT_EQ(how.si_status, 7);
       co_return fine;
     },
     [](Stage&) -> Outcome {
       siginfo_t how{};
       co_return co_await error_of(async_waitid(P_PID, 0x3fffffff, how, WEXITED));
     },
     std::errc::no_child_process},
});

}  // namespace
}  // namespace corering::test
