/// diagrams.hpp — the two flows as they are drawn: every line, in its order, with its words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace iotrace {

enum class Flow : std::uint8_t { switch_to_worker, worker_callback, wait };

/// The participants. The flow decides under which names they are drawn (name_of).
enum class Actor : std::uint8_t { main, coroutine, queue, eventfd, worker, kernel, awaited };

/// How a line is drawn: a request is solid, a return is dashed, and a note is no arrow.
enum class Shape : std::uint8_t { solid, dashed, note };

/// What happens to an activation bar: the arrow begins the receiver's, or ends the sender's.
enum class Bar : std::uint8_t { none, begins, ends };

/// What happens in a line. A recording is asked for each of these moments.
enum class Moment : std::uint8_t {
  thread_started,
  coroutine_started,
  await,
  pushed,
  eventfd_written,
  suspended,
  asleep,
  woken,
  loop_runs,
  popped,
  handle_returned,
  resumed,
  on_worker,
  filled,
  suspended_for_io,
  loop_is_active,
  submitted,
  kernel_reads,
  completed,
  loop_continues,
  processed,
  resumed_with_result,
  returned,
  continues,
  count_,
};

/// One line of a diagram. For a note `to` is `from`.
struct Line {
  Moment moment;
  std::string_view step;  ///< its name in JSON
  Actor from;
  Actor to;
  Shape shape;
  Bar bar;
  std::string_view text;
};

/// Returns the lines of one read. What happens only once, before the first read, is left out of the others.
[[nodiscard]] std::span<const Line> lines_of(Flow flow, bool first_read) noexcept;

/// A call of io_uring_enter(2) that took nothing, and its return. They are drawn before the call that did.
extern const Line refused_call;
extern const Line refused_return;

/// Returns an actor's name as the flow calls it, for example "SwitchToWorkerTask (Coro)". The kernel is named
/// as the worker calls it (Worker::kernel_name()): "Kernel (io_uring)". What a wait is for has no name here.
[[nodiscard]] std::string name_of(Flow flow, Actor actor, std::string_view kernel);

/// Returns the participants of the flow, in the order in which they are drawn.
[[nodiscard]] std::span<const Actor> actors_of(Flow flow) noexcept;

/// Returns those whose bars are still open after a read, and those whose bars a later read ends without
/// having begun them. Between two reads these bars are closed and opened, so that they balance.
[[nodiscard]] std::span<const Actor> bars_left_open_by(Flow flow) noexcept;
[[nodiscard]] std::span<const Actor> bars_a_later_read_needs(Flow flow) noexcept;

}  // namespace iotrace
