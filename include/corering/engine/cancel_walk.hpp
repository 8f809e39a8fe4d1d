/// cancel_walk.hpp — how far a cancellation has come on its way down.
#pragma once

#include <utility>

#include <corering/base/assert.hpp>
#include <corering/engine/scope.hpp>
#include <corering/engine/strand.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

/// Where several things are awaited at once, the way down divides: their strands line up here and are visited
/// one after the other. So the stack stays as it is, however deep combinators and groups are nested in each
/// other. The members come in order, each with all that is below it.
class CancelWalk {
 public:
  explicit CancelWalk(const CancelCause& cause) noexcept
      : cause_{.reason = cause.reason, .through_shields = cause.through_shields, .walk = this} {}
  CancelWalk(CancelWalk&&) = delete;
  ~CancelWalk() { CORERING_DEBUG_ASSERT(first_ == nullptr, "a walk goes to its end"); }

  /// Asks `first` to end, then what it names, and so on, and then everybody in line.
  void go_down_from(Wait* first) noexcept {
    for (Wait* next = first; next != nullptr; next = next_in_line()) {
      last_ = &first_;
      while (next != nullptr) {
        if (trace::enabled()) [[unlikely]]
          next->record_cancel(cause_.reason);
        next = next->cancel(cause_);
      }
    }
  }

  /// Puts a strand that is here in line, before those that were in line when the present visit began.
  void line_up(Strand& strand) noexcept {
    CORERING_DEBUG_ASSERT(&strand != first_, "a strand is in line once");
    strand.next_in_walk_ = std::exchange(*last_, &strand);
    last_ = &strand.next_in_walk_;
  }

 private:
  [[nodiscard]] Strand* next_in_line() noexcept {
    Strand* const next = first_;
    if (next != nullptr) first_ = next->next_in_walk_;
    return next;
  }

  const CancelCause cause_;
  Strand* first_ = nullptr;
  Strand** last_ = &first_;  // where the next one is put
};

}  // namespace corering
