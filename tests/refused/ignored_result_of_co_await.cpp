/// ignored_result_of_co_await.cpp — an operation's error that nobody looks at.
/// g++ 12 does not warn about it, whatever the function says.
// compilers: clang
// refused: ignoring return value
#include <corering/core/spawn.hpp>
#include <corering/io/control_calls.hpp>

corering::Task<void> ignores_its_operation() { co_await corering::async_nop(); }
corering::Task<corering::Result<void>> may_fail() { co_return corering::Result<void>(); }
corering::Task<void> ignores_its_task() { co_await may_fail(); }
corering::Task<void> ignores_its_join() { co_await corering::spawn(may_fail()); }
