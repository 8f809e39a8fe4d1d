/// hard_parts.cpp — hops, scopes, shields and late cancels. They wait for hours, and something has to end
/// that.
#include "sim/hard_parts.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace corering::sim_test {
namespace {

using namespace std::chrono_literals;

constexpr auto for_ever = 10h;

Task<Result<void>> waits(std::chrono::nanoseconds time) { co_return co_await sleep_for(time); }

/// Starts `task` on some worker, cancels it after a while, and awaits it.
Task<void> cancelled_soon(Program& program, Task<void> task) {
  const auto begin = program.world.elapsed();
  auto running = program.some_worker().spawn(std::move(task));
  if (!running) co_return;
  (void)co_await sleep_for(program.some_time());
  running->request_cancel();
  co_await std::move(*running);
  program.expect(!program.is_late(begin), "a cancel has not arrived");
}

// ---- on other workers ----

Task<Result<void>> waits_elsewhere(Program& program, Worker& there, std::chrono::nanoseconds time) {
  Worker* const before = Worker::current();
  const Result<void> hopped = co_await SwitchToWorker(there);
  program.expect(Worker::current() == (hopped ? &there : before), "a hop led to another worker");
  if (!hopped) co_return hopped;
  co_return co_await with_timeout(2 * for_ever, waits(time));
}

/// Its scopes are opened on one worker, and what waits in them is on another.
Task<void> visits(Program& program, std::chrono::nanoseconds limit) {
  Worker* const home = Worker::current();
  for (int i = 0; i < 3; ++i) {
    const Result<void> done =
        co_await with_timeout(limit, waits_elsewhere(program, program.some_worker(), for_ever));
    program.expect(!done.has_value(), "a wait for ever has ended by itself");
    program.expect(Worker::current() == home, "a scope did not end on its own worker");
  }
}

Task<void> brief_visits(Program& program) {
  const auto begin = program.world.elapsed();
  co_await visits(program, program.some_time());
  program.expect(!program.is_late(begin), "a deadline has not reached what is elsewhere");
}

/// It goes on and on, and is never for long where a message looks for it.
Task<void> wanders(Program& program) {
  for (int i = 0; i < 40; ++i) {
    Worker* const before = Worker::current();
    Worker& there = program.some_worker();
    const Result<void> hopped = co_await SwitchToWorker(there);
    program.expect(Worker::current() == (hopped ? &there : before), "a hop led to another worker");
    if (!hopped) break;
    if (program.world.draw(3) != 0) continue;
    const Result<void> slept = co_await sleep_for(program.some_time(200));
    if (!slept) break;
  }
  const Result<void> done = co_await with_timeout(2 * for_ever, waits(for_ever));
  program.expect(!done.has_value(), "a wait for ever has ended by itself");
}

Task<void> ends_soon(Program& program) { (void)co_await sleep_for(program.some_time(30)); }

/// Their cancels come just before they end, or just after.
Task<void> short_lives(Program& program) {
  for (int i = 0; i < 12; ++i) {
    auto one = program.some_worker().spawn(ends_soon(program));
    if (!one) break;
    (void)co_await sleep_for(program.some_time(40));
    one->request_cancel();
    if (program.world.draw(2) == 0) co_await std::move(*one);
  }
}

Task<void> waits_for_ever() { (void)co_await sleep_for(for_ever); }

/// It is cancelled before it awaits its child, and the child has to learn of it.
Task<void> awaits_too_late(Program& program) {
  auto child = program.some_worker().spawn(waits_for_ever());
  if (!child) co_return;
  (void)co_await sleep_for(for_ever);
  co_await std::move(*child);
}

// ---- scopes ----

Task<void> cleans_up(Program& program) {
  JoinHandle<void> child = spawn(ends_soon(program));
  const Result<void> waited = co_await sleep_for(for_ever);
  program.expect(!waited.has_value(), "a wait for ever has ended by itself");
  const Result<void> inside = co_await shield(waits(1ms));
  program.expect(inside.has_value(), "a shield has let a cancellation in");
  const Result<void> in_a_scope = co_await with_timeout(2 * for_ever, waits(for_ever));
  program.expect(!in_a_scope.has_value(), "a cancelled task has waited");
  Worker* const before = Worker::current();
  Worker& there = program.some_worker();
  const Result<void> hopped = co_await SwitchToWorker(there);
  program.expect(Worker::current() == (hopped ? &there : before), "a hop led to another worker");
  co_await std::move(child);
}

Task<void> is_shielded(Program& program) {
  const Result<void> inside = co_await shield(waits(program.some_time()));
  program.expect(inside.has_value(), "a shield has let a cancellation in");
}

Task<Result<void>> waits_there(Program& program, Worker& there, bool& has_arrived) {
  has_arrived = (co_await SwitchToWorker(there)).has_value();
  if (has_arrived) co_return co_await sleep_for(program.some_time());
  co_return Result<void>();
}

/// The shield is opened on one worker, and what it protects waits on another.
Task<void> is_shielded_elsewhere(Program& program) {
  bool has_arrived = false;
  const Result<void> inside = co_await shield(waits_there(program, program.some_worker(), has_arrived));
  program.expect(!has_arrived || inside.has_value(), "a shield has let a cancellation in");
}

Task<Result<void>> waits_for(std::shared_ptr<SharedEvent> event) { co_return co_await event->wait(); }

Task<void> lets_happen(Program& program, std::shared_ptr<SharedEvent> event) {
  (void)co_await shield(waits(program.some_time()));
  event->set();
}

/// It waits for nothing of the kernel: another worker ends its wait.
Task<void> is_shielded_until(Program& program, std::shared_ptr<SharedEvent> event) {
  const Result<void> inside = co_await shield(waits_for(std::move(event)));
  program.expect(inside.has_value(), "a shield has let a cancellation in");
}

Task<void> deadlines(Program& program) {
  const auto begin = program.world.elapsed();
  const Result<void> inner =
      co_await with_timeout(program.some_time(), with_timeout(2 * for_ever, waits(for_ever)));
  program.expect(!inner && inner.error() == std::errc::timed_out, "an outer deadline has another error");
  Result<Pipe> pipe = Pipe::create();
  if (pipe) {
    std::array<std::byte, 8> buffer;
    const auto got = co_await with_timeout(program.some_time(), pipe->reader.read(buffer));
    program.expect(!got && got.error() == std::errc::timed_out, "what a deadline ends has another error");
    (void)co_await pipe->reader.close();
    (void)co_await pipe->writer.close();
  }
  program.expect(!program.is_late(begin), "a deadline has not ended a wait");
}

Task<void> times_out(Program& program) {
  const auto begin = program.world.elapsed();
  const auto time = std::chrono::minutes(program.world.draw(24 * 60));
  const Result<void> waited = co_await async_timeout(time);
  if (!waited) co_return;
  program.expect(program.world.elapsed() >= begin + time, "a timeout of the kernel was early");
  program.expect(!program.is_late(begin + time), "a timeout of the kernel was late");
}

/// Some are cancelled, from the middle of those that the kernel has.
Task<void> timeouts_of_the_kernel(Program& program) {
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 16; ++i) all.push_back(spawn(times_out(program)));
  (void)co_await sleep_for(program.some_time());
  for (std::size_t i = 0; i < all.size(); i += 3) all[i].request_cancel();
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

Task<void> group_that_is_cancelled(Program& program) {
  const Result<void> done = co_await with_group([&program](TaskGroup& group) -> Task<void> {
    for (int i = 0; i < 3; ++i) group.spawn(waits(for_ever));
    (void)co_await sleep_for(program.some_time());
    group.cancel();
  });
  program.expect(done.has_value(), "a group takes its own cancel for a failure");
}

// ---- what several share ----

struct Shared {
  Semaphore permits{3};
  std::size_t taken = 0;
};

Task<void> takes(Program& program, Shared& shared, std::size_t count) {
  const auto permit = co_await shared.permits.acquire(count);
  if (!permit) co_return;
  shared.taken += count;
  program.expect(shared.taken <= 3, "a semaphore has given more than it has");
  (void)co_await sleep_for(program.some_time(300));
  shared.taken -= count;
}

Task<void> share(Program& program) {
  Shared shared;
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 6; ++i) all.push_back(spawn(takes(program, shared, 1 + program.world.draw(3))));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

Task<void> writes_one(PipeWriter& writer, std::uint8_t number) {
  const std::array bytes{std::byte{number}};
  (void)co_await writer.write(bytes);
}

/// Requests go to the kernel in the order in which they began, also while it has no room for them.
Task<void> in_order(Program& program) {
  const sim::Faults& faults = program.world.report().faults;
  const bool has_order = faults[sim::Fault::late_completion].one_in == 0 &&
                         faults[sim::Fault::slow_uncancellable].one_in == 0 &&
                         faults[sim::Fault::shuffled_ready].one_in == 0;
  Result<Pipe> pipe = Pipe::create();
  if (!pipe) co_return;
  std::vector<JoinHandle<void>> writing;
  for (std::uint8_t i = 0; i < 24; ++i) writing.push_back(spawn(writes_one(pipe->writer, i)));
  for (JoinHandle<void>& one : writing) co_await std::move(one);
  (void)co_await pipe->writer.close();
  std::byte newest{};
  for (std::array<std::byte, 64> buffer;;) {
    const Result<std::size_t> got = co_await pipe->reader.read(buffer);
    if (!got || *got == 0) break;
    for (const std::byte one : std::span(buffer).first(*got)) {
      program.expect(!has_order || one >= newest, "a request has overtaken another");
      newest = one;
    }
  }
  (void)co_await pipe->reader.close();
}

// ---- what is given up with something in it ----

Task<void> connects(Program& program, Address to) {
  Result<TcpStream> stream = co_await with_timeout(10s, TcpStream::connect(to));
  if (!stream) co_return;
  (void)co_await sleep_for(program.some_time());
  (void)co_await stream->close();
}

Task<void> abandons_connections(Program& program) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0), {});
  if (!listener) co_return;
  const Result<Address> address = listener->local_address();
  if (!address) co_return;
  std::vector<JoinHandle<void>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(spawn(connects(program, *address)));
  {
    AcceptStream stream(listener->fd(), 2 + program.world.draw(8));
    (void)co_await with_timeout(program.some_time(), stream.next());
    (void)co_await sleep_for(program.some_time(500));
  }
  (void)co_await listener->close();
  for (JoinHandle<void>& one : clients) co_await std::move(one);
}

Task<void> keeps(Program& program, LentBuffer buffer) {
  (void)co_await sleep_for(program.some_time(2000));
  program.expect(buffer.size() > 0, "a buffer that was lent is empty");
}

Task<void> sends_some(UnixStream& to) {
  const std::array<std::byte, 40> bytes{};
  for (int i = 0; i < 12; ++i) {
    const Result<void> sent = co_await to.write_all(bytes);
    if (!sent) break;
  }
  (void)co_await to.close();
}

/// The buffers come back from other workers, and then the pool goes.
Task<void> lends_buffers(Program& program) {
  const auto limit = program.world.draw(2) == 0 ? std::chrono::nanoseconds(1s) : 2 * for_ever;
  const auto begin = program.world.elapsed();
  auto pair = UnixStream::pair();
  if (!pair) co_return;
  auto sending = spawn(sends_some(pair->first));
  if (Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64}); pool) {
    RecvStream stream(pair->second.fd(), *pool);
    std::vector<JoinHandle<void>> borrowers;
    for (int i = 0; i < 8; ++i) {
      auto got = co_await with_timeout(limit, stream.next());
      if (!got) break;
      auto one = program.some_worker().spawn(keeps(program, std::move(*got)));
      if (one) borrowers.push_back(std::move(*one));
    }
    for (JoinHandle<void>& one : borrowers) co_await std::move(one);
  }
  program.expect(!program.is_late(begin), "who waits for a buffer has not learned that one is back");
  (void)co_await pair->second.close();
  co_await std::move(sending);
}

}  // namespace

Task<void> some_hard_part(Program& program) {
  switch (program.world.draw(14)) {
    case 0:
      return cancelled_soon(program, visits(program, 3 * for_ever));
    case 1:
      return cancelled_soon(program, wanders(program));
    case 2:
      return cancelled_soon(program, awaits_too_late(program));
    case 3:
      return cancelled_soon(program, cleans_up(program));
    case 4:
      return cancelled_soon(program, is_shielded(program));
    case 5:
      return brief_visits(program);
    case 6:
      return short_lives(program);
    case 7:
      return deadlines(program);
    case 8:
      return group_that_is_cancelled(program);
    case 9:
      return share(program);
    case 10:
      return in_order(program);
    case 11:
      return abandons_connections(program);
    case 12:
      return timeouts_of_the_kernel(program);
    default:
      return lends_buffers(program);
  }
}

namespace {

Task<void> goes_elsewhere(Program& program) {
  (void)co_await with_timeout(2 * for_ever, waits_elsewhere(program, program.some_worker(), for_ever));
}

/// It begins something new when its worker has already cancelled what was there.
Task<void> begins_late(Program& program) {
  (void)co_await sleep_for(for_ever);
  spawn(goes_elsewhere(program)).detach();
}

/// What no shield protects ends soon after the workers are told to stop.
Task<void> stays_unprotected(Program& program) {
  switch (program.world.draw(4)) {
    case 0:
      return visits(program, 3 * for_ever);
    case 1:
      return wanders(program);
    case 2:
      return begins_late(program);
    default:
      return awaits_too_late(program);
  }
}

Task<Result<void>> waits_there_for(Program& program, Worker& there, Event& never) {
  const Result<void> hopped = co_await SwitchToWorker(there);
  if (!hopped) co_return hopped;
  const Result<void> waited = co_await never.wait();
  program.expect(!waited.has_value(), "what never happens has happened");
  co_return waited;
}

/// Only the end of a worker's patience ends it. On the other worker there is nothing of it but itself.
Task<void> stays_for_ever(Program& program) {
  Event never;
  (void)co_await shield(waits_there_for(program, program.some_worker(), never));
}

Task<void> stays_protected(Program& program) {
  switch (program.world.draw(4)) {
    case 0:
      return is_shielded(program);
    case 1:
      return is_shielded_elsewhere(program);
    case 2:
      return stays_for_ever(program);
    default:
      return cleans_up(program);
  }
}

Task<void> waits_a_minute() { (void)co_await sleep_for(1min); }

void leave(Program& program, Task<void> task) {
  if (auto one = program.some_worker().spawn(std::move(task))) one->detach();
}

void leave_a_meeting(Program& program) {
  const auto event = std::make_shared<SharedEvent>();
  auto one = program.some_worker().spawn(lets_happen(program, event));
  if (!one) return;
  one->detach();
  leave(program, is_shielded_until(program, event));
}

/// The others go on until it must have ended, or lost its patience.
void stop_one(Program& program) {
  program.world.worker(1).request_stop();
  if (auto a_while = program.world.worker(0).spawn(waits_a_minute())) sync_wait(std::move(*a_while));
}

}  // namespace

void leave_some_behind(Program& program) {
  const bool has_memory = program.world.report().faults[sim::Fault::no_memory].one_in == 0;
  program.leaves_protected = program.world.draw(2) == 0;
  for (std::uint64_t left = has_memory ? program.world.draw(6) : 0; left > 0; --left) {
    if (!program.leaves_protected)
      leave(program, stays_unprotected(program));
    else if (program.world.draw(4) == 0)
      leave_a_meeting(program);
    else
      leave(program, stays_protected(program));
  }
  // Some have not begun when the workers are told to stop, and others have come far.
  if (has_memory && program.world.draw(2) == 0)
    if (auto a_while = program.some_worker().spawn(ends_soon(program))) sync_wait(std::move(*a_while));
  if (has_memory && program.world.draw(4) == 0) stop_one(program);
  program.main_ended = program.world.elapsed();
}

}  // namespace corering::sim_test
