/// flow.hpp — from recorded events to the steps of the two flows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <corering/trace/recorder.hpp>

#include "diagrams.hpp"
#include "kernel_events.hpp"
#include "operations.hpp"

namespace iotrace {

/// One line of a diagram, and what was recorded of it.
struct Step {
  const Line* line;
  std::optional<std::int64_t> ns;  ///< CLOCK_MONOTONIC_RAW; empty if it was not observed
  std::string detail;              ///< arguments and results, or why it was not observed; may be empty
  std::string text;                ///< the words, if they are others than the line's
};

/// Everything that was observed of one read.
struct ReadSteps {
  std::uint64_t number = 0;  ///< how many reads came before
  std::vector<Step> steps;
};

/// What was done, and what was observed of it.
struct FlowRecord {
  Flow flow;
  std::string file;
  std::string awaited;      ///< what a wait is for: "mutex", "task 4, parse (http.cpp:31)"
  std::string heading;      ///< instead of what is said of the file and its reads
  std::uint64_t bytes = 0;  ///< read in all
  std::uint64_t reads = 0;  ///< completed in all
  std::uint64_t chunk = 0;
  std::uint64_t lost_events = 0;
  std::string ended_by;             ///< what ended it before the file's end, for example "--reads"; or empty
  std::string error;                ///< one sentence for the user, if a read failed; or empty
  bool is_unfinished = false;       ///< the last read failed or was cut short; `reads` does not count it
  std::string kernel = "io_uring";  ///< what the worker ran on, see Worker::kernel_name()
  std::string why_emulated;         ///< why io_uring is refused here; empty if it is not
  std::string kernel_unseen;        ///< why the kernel could not be watched; empty if it was
  std::vector<ReadSteps> drawn;     ///< the first few, in order; and an unfinished one
};

/// What was recorded, and by which threads.
struct Recorded {
  std::vector<corering::trace::ThreadRecording> threads;
  int main_tid;
  std::int64_t since_ns = 0;            ///< a read that began earlier does not count
  std::vector<KernelEvent> kernel_did;  ///< empty if the kernel could not be watched
  bool is_emulated = false;             ///< the worker ran on the emulation
};

/// Takes what the emulation did out of the threads' recordings, so that these are as with io_uring.
[[nodiscard]] std::vector<KernelEvent> take_what_emulation_did(
    std::vector<corering::trace::ThreadRecording>& threads);

/// Returns which moment of an operation's life a line shows, or nothing for a line of which nobody notes a
/// time. The write of the eventfd and the begin of the loop's turn are shown with the moment right before
/// them.
[[nodiscard]] std::optional<At> moment_of_life(Moment moment) noexcept;

/// Finds the steps of an operation of a recorded program. The trace must have kept its events.
[[nodiscard]] ReadSteps find_steps(Flow flow, const Trace& trace, const Operation& operation);

/// Finds the steps of the first `most` reads of `flow`.
[[nodiscard]] std::vector<ReadSteps> find_steps(Flow flow, const Recorded& recorded, std::size_t most);

/// Finds the steps of the last read that was recorded, if there is one. Its number is not known here, and
/// becomes `number`.
[[nodiscard]] std::optional<ReadSteps> find_last_steps(Flow flow, const Recorded& recorded,
                                                       std::uint64_t number);

}  // namespace iotrace
