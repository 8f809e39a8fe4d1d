/// read_captures.cpp — walks through a store once.
#include "trace/read_captures.hpp"

#include <algorithm>
#include <utility>

namespace corering::trace {
namespace {

class Merger {
 public:
  explicit Merger(std::uint64_t first) noexcept : first_(first) {}

  void take(const TimedEvent& event) {
    if (event.kind == Kind::kept) return begin(event);
    if (!is_in_capture_) return;  // its begin was overwritten
    if (at_ < first_ && at_ >= next_) add(event);
    ++at_;
  }

  /// Adds what the ring still has. Returns how many of the events that it has lost are there again.
  std::uint64_t finish(std::vector<TimedEvent>& events) {
    end();
    if (kept_.empty() && marks_.empty()) return 0;
    if (!kept_.empty() && next_ < first_)
      add_gap(first_, events.empty() ? kept_.back().ns : events.front().ns);
    for (const TimedEvent& event : std::exchange(events, {})) {
      kept_.push_back(event);
      add_marks_until(++first_);
    }
    add_marks_until(UINT64_MAX);
    events = std::move(kept_);
    return rescued_;
  }

 private:
  struct Mark {
    std::uint64_t after;  // the number of the event before which it stands
    TimedEvent event;
  };

  void begin(const TimedEvent& head) {
    end();
    head_ = head;
    at_ = head.a;
    is_in_capture_ = true;
  }

  void end() {
    if (!std::exchange(is_in_capture_, false)) return;
    const bool goes_on = (head_.b & 1) != 0;
    goes_on_ = goes_on ? head_.id : 0;
    if (goes_on) return;
    marks_.push_back({.after = at_, .event = head_});
    add_marks_until(std::min(next_, first_));
  }

  void add(const TimedEvent& event) {
    if (at_ != next_ && !kept_.empty()) add_gap(at_, event.ns);
    kept_.push_back(event);
    next_ = at_ + 1;
    ++rescued_;
  }

  void add_gap(std::uint64_t until, std::int64_t ns) {
    kept_.push_back({.ns = ns, .id = std::exchange(goes_on_, 0), .a = until - next_, .kind = Kind::gap});
  }

  // Its own time is that at which the operation ended, which may be a little earlier.
  void add_marks_until(std::uint64_t number) {
    for (; added_ < marks_.size() && marks_[added_].after <= number; ++added_) {
      TimedEvent mark = marks_[added_].event;
      if (!kept_.empty()) mark.ns = std::max(mark.ns, kept_.back().ns);
      kept_.push_back(mark);
    }
  }

  std::uint64_t first_;     // of the ring
  std::uint64_t next_ = 0;  // follows on the last one that is there
  std::uint64_t at_ = 0;    // of the next one in the store
  std::uint64_t goes_on_ = 0;
  std::uint64_t rescued_ = 0;
  bool is_in_capture_ = false;
  TimedEvent head_;
  std::vector<TimedEvent> kept_;
  std::vector<Mark> marks_;
  std::size_t added_ = 0;
};

}  // namespace

void merge_captures(ThreadRecording& thread, std::uint64_t first, const ThreadRecording& store) {
  Merger merger(first);
  for (const TimedEvent& event : store.events) merger.take(event);
  thread.lost -= std::min(thread.lost, merger.finish(thread.events));
}

}  // namespace corering::trace
