/// here.cpp — the compiled side of engine.hpp: from "this thread" to its loop.
#include <limits>

#include <corering/engine/here.hpp>
#include <corering/engine/ring_resource.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

/// What a thread without a worker runs while it is inside run_here().
struct PlainThread {
  ReadyQueue ready;
  unsigned depth = 0;  // sync_wait may be called by a coroutine that another sync_wait runs
};

[[gnu::noinline]] PlainThread& plain_thread() noexcept {
  static thread_local PlainThread mine;
  return mine;
}

}  // namespace

namespace engine {

void schedule(std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const loop = here::loop(); loop != nullptr) return loop->schedule(coroutine);
  // A foreign thread that resumes a coroutine of ours is not inside run_here(): then it runs what that one
  // goes on to.
  if (PlainThread& here = plain_thread(); here.depth > 0) return here.ready.push(coroutine);
  run_here(coroutine);
}

bool post(Loop& there, PostNode& node) noexcept { return there.mailbox().post(node); }

bool post_regardless(Loop& there, PostNode& node) noexcept { return there.mailbox().post_regardless(node); }

void post_home(Loop& there, PostNode& node) noexcept { there.mailbox().post_home(node); }

void expect_homecoming() noexcept {
  require_loop("only a worker expects coroutines back").expect_homecoming();
}

void forgo_homecoming() noexcept { require_loop("only a worker expects coroutines back").forgo_homecoming(); }

void require_worker(const char* message, const Frame* frame) noexcept { (void)require_loop(message, frame); }

bool refuses_waits(const Frame* frame) noexcept {
  const Loop* const here = here::loop();
  const Scope* const scope = frame != nullptr ? frame->scope : nullptr;
  return here != nullptr ? here->refuses_waits(scope) : scope != nullptr && scope->cancelled();
}

std::error_code cancellation_error(const Frame* frame) noexcept {
  const bool cancelled = frame != nullptr && frame->scope != nullptr && frame->scope->cancelled();
  return (cancelled ? frame->scope->reason() : CancelReason::asked()).error();
}

TimePoint now() noexcept { return require_loop("time is told by workers").now(); }

void arm(TimerNode& node, TimePoint deadline) noexcept {
  require_loop("timers belong to workers").arm(node, deadline);
}

void disarm(TimerNode& node) noexcept { require_loop("timers belong to workers").disarm(node); }

void look_after(Waiter& waiter) noexcept { require_loop("only a worker stops").look_after(waiter); }

std::uint64_t turn_ticks() noexcept { return require_loop("only a worker turns").turn_ticks(); }

void require_scope(const Frame* frame) noexcept {
  if (frame != nullptr && frame->scope != nullptr && frame->scope->strand() != nullptr) return;
  fail_assertion(
      "a task of the library is at the root",
      "a coroutine of another library can await operations, sleeps, hops and joins; for everything "
      "else let it start a task of this one with spawn()",
      place_of(frame));
}

void adopt(const Frame* frame) noexcept {
  Loop* const here = here::loop();
  Scope* const scope = frame != nullptr ? frame->scope : nullptr;
  if (here != nullptr && scope != nullptr && scope->strand() != nullptr) scope->strand()->begin_on(*here);
}

void run_here(std::coroutine_handle<> coroutine) {
  PlainThread& here = plain_thread();
  here.ready.push(coroutine);
  ++here.depth;
  here.ready.run(std::numeric_limits<std::size_t>::max());
  --here.depth;
}

int register_resource(unsigned opcode, void* argument, unsigned count) noexcept {
  return require_loop("a ring's resources are registered on its worker")
      .ring()
      .register_resource(opcode, argument, count);
}

void attach_resource(RingResource& resource) noexcept {
  require_loop("a ring's resources are made on its worker").attach_resource(resource);
}

int register_buffer_ring(abi::BufferRingRegister& wish) noexcept {
  Loop& here = require_loop("buffer rings are made on a worker");
  int registered = -EEXIST;
  // The numbers go round, and some may still be taken.
  for (int tries = 0; registered == -EEXIST && tries < 65536; ++tries) {
    wish.group = here.next_buffer_group();
    registered = here.ring().register_resource(abi::register_pbuf_ring, &wish, 1);
  }
  return registered;
}

RingResource*& file_table() noexcept { return require_loop("file tables are made on a worker").file_table(); }

RingResource*& buffer_table() noexcept {
  return require_loop("buffers are registered on a worker").buffer_table();
}

std::uint64_t open_inbox(Inbox& inbox) {
  return require_loop("an inbox is opened on a worker").open_inbox(inbox);
}

void close_inbox(std::uint64_t address) noexcept {
  require_loop("an inbox is closed on its worker").close_inbox(address);
}

int ring_fd() noexcept { return require_loop("only a worker has a ring").ring().descriptor(); }

std::uint32_t sq_entries() noexcept { return require_loop("only a worker has a ring").ring().sq_entries(); }

const Capabilities& capabilities() noexcept {
  return require_loop("what a ring can do is asked on its worker: hop there first").capabilities();
}

}  // namespace engine

}  // namespace corering
