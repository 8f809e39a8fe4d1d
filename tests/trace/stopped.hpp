/// stopped.hpp — for tests that record.
#pragma once

#include <corering/trace/recorder.hpp>

namespace corering::trace {

/// Ends the recording of this process when it goes.
struct Stopped {
  Stopped() = default;
  Stopped(Stopped&&) = delete;
  ~Stopped() { stop(); }
};

}  // namespace corering::trace
