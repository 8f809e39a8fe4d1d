/// report.hpp — what a world tells its ring about a call that was watched or lent.
#pragma once

#include <cstdint>

#include "emulation/call.hpp"

namespace corering::emulation {

/// What the world has to say about a call.
struct Report {
  Call* call = nullptr;
  /// The events that the descriptor of a watched call shows. 0 for a call that was lent.
  std::uint32_t events = 0;
  /// What came of a call that was lent, or of one that is ready and was tried. It may also be `waits` or
  /// `later`.
  Answer answer;
  bool was_tried = false;  ///< it was watched, and the world has tried it again, because it is plain
};

}  // namespace corering::emulation
