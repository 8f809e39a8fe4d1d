/// read_captures.hpp — puts what was kept of a thread back to its place between the thread's events.
#pragma once

#include <cstdint>

#include <corering/trace/recording.hpp>

namespace corering::trace {

/// `store` is what was found in the store, and `first` the number of the thread's first event. Afterwards
/// each capture is followed by its `kept`, and a `gap` stands where events are missing after the first one.
/// What the store says is input: it may be damaged.
void merge_captures(ThreadRecording& thread, std::uint64_t first, const ThreadRecording& store);

}  // namespace corering::trace
