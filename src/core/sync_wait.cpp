/// sync_wait.cpp — the plain thread's side: it runs the root coroutine as far as it goes here, and blocks.
#include <corering/core/sync_wait.hpp>
#include <corering/engine/here.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering::detail {

using trace::Kind;

void run_root(std::coroutine_handle<> root, OneShot& ended) {
  CORERING_ASSERT(
      here::loop() == nullptr,
      "sync_wait() was called on a worker's thread, which would wait for itself: co_await instead");
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::sync_wait_begin, trace::no_opcode, root.address());
  here::run(root);
  ended.wait();
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::sync_wait_end, trace::no_opcode, root.address());
}

// When that thread has been woken, the frame may be gone, and so may this object, which lies in it.
void RootStrand::on_end() noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::root_done, trace::no_opcode, root_.address());
  ended_->set();
}

}  // namespace corering::detail
