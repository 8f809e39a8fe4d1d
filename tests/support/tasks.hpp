/// tasks.hpp — small tasks that many tests start.
#pragma once

#include <stdexcept>

#include <corering/core/task.hpp>
#include <corering/io/control_calls.hpp>

namespace corering::test {

inline Task<void> nothing() { co_return; }

inline Task<int> just(int value) { co_return value; }

inline Task<int> fails() {
  throw std::runtime_error("the task's own words");
  co_return 0;
}

/// Goes to the kernel and back `count` times.
inline Task<void> turns(int count) {
  for (int i = 0; i < count; ++i) (void)co_await async_nop();
}

}  // namespace corering::test
