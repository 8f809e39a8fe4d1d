/// why.hpp — what made an operation slow, told by what else is in the recording.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "operations.hpp"

namespace iotrace {

enum class Cause : std::uint8_t {
  nothing_unusual,
  unfinished,       ///< it has not ended, and nothing tells why
  long_task,        ///< a coroutine kept the worker for long
  blocking_call,    ///< the same, but it did not compute: it waited in a system call
  run_queue_delay,  ///< other threads had the processor
  queued_behind_others,
  accept_imbalance,  ///< the same, while another worker that could have taken the connections slept
  retry_storm,       ///< the same, and most of the others failed again and again
  lent_to_helper,    ///< a thread of io-wq or of the emulation made a call that blocks
  page_cache_miss,
  slow_sync,
  lock_held,
  channel_full,
  no_buffers,  ///< ENOBUFS
  cq_overflow,
  late_timer,
  peer_reads_slowly,
  sq_full,
  cancelled_late,
  deadline_inherited,  ///< set further out than the await
  own_deadline,        ///< set in the same line
  cancelled,
  pool_exhausted,
  stop_in_progress,
  count_,
};

struct Explanation {
  Cause cause = Cause::nothing_unusual;
  std::string text;  ///< sentences
};

/// Finds the longest part of an operation's life and what explains it. It claims only what was recorded.
[[nodiscard]] Explanation explain(const Trace& trace, const Operation& operation);

/// Returns a line that says why the operation was kept, or nothing.
[[nodiscard]] std::string why_captured(const Trace& trace, const Operation& operation);

/// Returns "long task" and so on.
[[nodiscard]] std::string_view name_of(Cause cause) noexcept;

/// Returns "40 µs", "3.2 ms".
[[nodiscard]] std::string duration_text(Ns ns);

/// Returns a line that says where a task was spawned, and by which; nothing if that was not recorded.
[[nodiscard]] std::string descent_of(const Trace& trace, std::uint64_t task);

}  // namespace iotrace
