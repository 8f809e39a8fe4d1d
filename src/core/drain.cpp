/// drain.cpp — waiting for a worker's other tasks.
#include <corering/core/drain.hpp>

#include "engine/loop.hpp"

namespace corering {

void Drainer::suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  CORERING_ASSERT(here::loop() == &loop_,
                  "drain() was awaited outside of the worker's own tasks: await it in a task on that worker");
  require_scope(promise);
  wait_in(loop_.begin_drain(), coroutine, promise);
}

void Drainer::describe(std::string& text) const { text += "the worker's other tasks"; }

}  // namespace corering
