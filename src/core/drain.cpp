/// drain.cpp — waiting for a worker's other tasks.
#include <corering/core/drain.hpp>

#include "engine/loop.hpp"

namespace corering {

void Drainer::suspend(std::coroutine_handle<> coroutine, Frame* frame) noexcept {
  CORERING_ASSERT(here::loop() == &loop_, "a worker is drained by one of its own tasks");
  engine::require_scope(frame);
  wait_in(loop_.begin_drain(), coroutine, frame);
}

void Drainer::describe(std::string& text) const { text += "the worker's other tasks"; }

}  // namespace corering
