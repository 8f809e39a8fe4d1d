/// signal_handler.cpp — walks down the stack. The unwinder knows which frames a signal has interrupted.
#include "base/signal_handler.hpp"

#include <unwind.h>

namespace corering {
namespace {

// A call leaves the address after it. A signal leaves that of the instruction which comes next.
_Unwind_Reason_Code look(_Unwind_Context* frame, void* found) {
  int is_interrupted = 0;
  (void)_Unwind_GetIPInfo(frame, &is_interrupted);
  if (is_interrupted == 0) return _URC_NO_REASON;
  *static_cast<bool*>(found) = true;
  return _URC_NORMAL_STOP;
}

}  // namespace

bool is_in_signal_handler() noexcept {
  bool found = false;
  (void)_Unwind_Backtrace(look, &found);
  return found;
}

}  // namespace corering
