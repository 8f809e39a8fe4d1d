/// sync_wait.cpp — the plain thread's side: it runs the root coroutine as far as it goes here, and blocks.
#include <cstdio>

#include <corering/base/outside.hpp>
#include <corering/core/sync_wait.hpp>
#include <corering/engine/here.hpp>
#include <corering/trace/recorder.hpp>

#include "core/unstarted_workers.hpp"
#include "engine/loop.hpp"

namespace corering::detail {

using trace::Kind;

namespace {

constexpr Duration usual_patience = std::chrono::seconds(1);

// The commonest reason for a wait without end: a worker was never started, or the error of its start was
// ignored.
void wait_and_say_for_whom(OneShot& ended, std::source_location where) {
  if (ended.wait_until(Clock::now() + usual_patience)) return;
  if (const std::string name = UnstartedWorkers::with_work(); !name.empty()) {
    dprintf(
        2,
        "corering: sync_wait() still waits at %s:%u: the worker \"%s\" has work in its queue and was never "
        "started (call start(), run() or turn(), and look at what it returns)\n",
        where.file_name(), where.line(), name.c_str());
  }
  ended.wait();
}

}  // namespace

void run_root(std::coroutine_handle<> root, OneShot& ended, std::source_location where) {
  CORERING_ASSERT_AT(
      where, here::loop() == nullptr,
      "sync_wait() was called on a worker's thread, which would wait for itself: co_await instead");
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::sync_wait_begin, trace::no_opcode, root.address());
  here::run(root);
  if (Outside* const world = os::world(); world != nullptr) {
    const auto is_set = [](const void* what) { return static_cast<const OneShot*>(what)->is_set(); };
    world->wait_for(is_set, &ended);
  } else if (UnstartedWorkers::is_empty()) {
    ended.wait();
  } else {
    wait_and_say_for_whom(ended, where);
  }
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
