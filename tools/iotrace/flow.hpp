/// flow.hpp — from recorded events to the steps of the two flows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <corering/trace/recorder.hpp>

#include "kernel_events.hpp"

namespace iotrace {

enum class Flow : std::uint8_t { switch_to_worker, worker_callback };

/// The participants. The flow decides under which names they are drawn (name_of).
enum class Actor : std::uint8_t { main, coroutine, queue, eventfd, worker, kernel };

/// How an arrow is drawn: dashed where control goes back to somebody, as in the brief.
enum class Line : bool { solid, dashed };

/// One arrow of the sequence.
struct Step {
  std::string_view name;  ///< as in JSON: "await", "pushed", ...
  Actor from;
  Actor to;
  Line line = Line::solid;
  std::optional<std::int64_t> ns;  ///< CLOCK_MONOTONIC_RAW; empty if it was not observed
  std::string text;                ///< what happened, for people to read
};

/// Everything that was observed of one read.
struct ReadSteps {
  std::vector<Step> steps;
};

/// What was done, and what was observed of it.
struct FlowRecord {
  Flow flow;
  std::string file;
  std::uint64_t bytes = 0;  ///< read in all
  std::uint64_t reads = 0;  ///< completed in all
  std::uint64_t chunk = 0;
  std::uint64_t lost_events = 0;
  std::vector<ReadSteps> drawn;  ///< the first few, in order
};

/// What was recorded, and by which threads.
struct Recorded {
  std::vector<corering::trace::ThreadRecording> threads;
  int main_tid;
  std::int64_t since_ns = 0;                  ///< earlier events do not count
  std::vector<KernelCompletion> completions;  ///< empty if the kernel could not be watched
};

/// Finds the steps of the first `most` reads of `flow`.
[[nodiscard]] std::vector<ReadSteps> find_steps(Flow flow, const Recorded& recorded, std::size_t most);

/// Returns an actor's name as the flow calls it, for example "SwitchToWorkerTask (Coro)".
[[nodiscard]] std::string_view name_of(Flow flow, Actor actor) noexcept;

/// Returns the participants of the flow, in the order in which they are drawn.
[[nodiscard]] std::vector<Actor> actors_of(Flow flow);

}  // namespace iotrace
