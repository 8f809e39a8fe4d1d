/// lane_events.cpp — the join of the kernel's reports, which has some traps.
#include "lane_events.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <corering/uring/uapi.hpp>

namespace iotrace {
namespace {

using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

namespace uapi = corering::uapi;

/// A request that has begun, and whose last CQE has not been seen.
struct InFlight {
  std::uint64_t ring = 0;
  std::uint64_t request = 0;
  std::uint64_t user_data = 0;
  std::int64_t began_ns = 0;
  std::uint32_t cqes = 0;
  std::uint8_t opcode = 0;
  bool skips_cqe = false;

  /// A zero-copy send is answered, but its notification is to come, which is a request of its own.
  [[nodiscard]] bool awaits_notification() const noexcept {
    return cqes > 0 && (opcode == static_cast<std::uint8_t>(corering::Opcode::send_zc) ||
                        opcode == static_cast<std::uint8_t>(corering::Opcode::sendmsg_zc));
  }
};

/// The requests in flight that share a ring and a user_data. If it is one, its number is known.
struct Namesakes {
  std::uint64_t numbers = 0;  ///< all of their numbers, by exclusive or
  std::uint64_t count = 0;
  std::uint64_t ended = 0;  ///< so many of them have ended, but nobody knows which
};

struct RingAndUserData {
  std::uint64_t ring;
  std::uint64_t user_data;
  bool operator==(const RingAndUserData&) const = default;
};
struct HashOfThem {
  std::size_t operator()(const RingAndUserData& key) const noexcept {
    return (key.ring ^ (key.user_data * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL >> 8;
  }
};

class Join {
 public:
  explicit Join(bool names_requests) : names_requests_(names_requests) {}

  /// Returns the number of the event's request, or 0.
  std::uint64_t take(LaneEvent& event) {
    switch (event.kind) {
      case Kind::kernel_began:
        return begin(event);
      case Kind::kernel_ended:
      case Kind::kernel_overflow:
        return end(event);
      default:
        return number_of(event);
    }
  }

  [[nodiscard]] LaneRequests finish() {
    for (const auto& [number, request] : in_flight_) {
      if (request.skips_cqe) {
        ++done_.counts.without_cqe;
      } else if (!ended_unknown(request)) {
        ++done_.counts.in_flight;
      }
    }
    for (auto& [opcode, ns] : times_) {
      std::ranges::sort(ns);
      done_.times.push_back({.opcode = opcode, .ns = std::move(ns)});
    }
    return std::move(done_);
  }

 private:
  std::uint64_t begin(const LaneEvent& event) {
    if (event.request != 0) {
      if (const auto before = by_request_.find(event.request); before != by_request_.end())
        leave_address(before->second);
    }
    const std::uint64_t number = ++done_.counts.began;
    in_flight_[number] = {.ring = event.ring,
                          .request = event.request,
                          .user_data = event.user_data,
                          .began_ns = event.ns,
                          .opcode = event.opcode,
                          .skips_cqe = (event.sqe_flags & uapi::sqe_cqe_skip_success) != 0};
    if (event.request != 0) by_request_[event.request] = number;
    Namesakes& namesakes = namesakes_[{event.ring, event.user_data}];
    namesakes.numbers ^= number;
    ++namesakes.count;
    return number;
  }

  // Another request begins at the address of this one. So it has ended.
  void leave_address(std::uint64_t number) {
    const auto found = in_flight_.find(number);
    if (found == in_flight_.end() || found->second.awaits_notification()) return;
    if (found->second.skips_cqe) {
      ++done_.counts.without_cqe;
    } else if (!ended_unknown(found->second)) {
      ++done_.counts.unreported;
    }
    remove(number, found->second);
  }

  std::uint64_t end(LaneEvent& event) {
    ++done_.counts.cqes;
    if (event.kind == Kind::kernel_overflow) ++done_.counts.overflowed;
    const std::uint64_t number = number_of_ended(event);
    const auto found = in_flight_.find(number);
    if (found == in_flight_.end()) {
      end_unknown(event);
      return 0;
    }
    event.opcode = found->second.opcode;
    ++found->second.cqes;
    if ((event.cqe_flags & uapi::cqe_more) != 0) return number;
    ++done_.counts.ended;
    if (found->second.cqes == 1) times_[event.opcode].push_back(event.ns - found->second.began_ns);
    remove(number, found->second);
    return number;
  }

  // One of several with this user_data. Which one is seen when its address is used again.
  void end_unknown(const LaneEvent& event) {
    const auto namesakes = may_be_by_user_data(event) ? find_namesakes(event) : namesakes_.end();
    if (namesakes == namesakes_.end()) {
      ++done_.counts.foreign;
    } else if ((event.cqe_flags & uapi::cqe_more) == 0) {
      ++namesakes->second.ended;
      ++done_.counts.ended;
    }
  }

  /// Returns true if this request is one of those that have ended without anybody knowing which.
  bool ended_unknown(const InFlight& request) {
    const auto namesakes = namesakes_.find({request.ring, request.user_data});
    if (namesakes == namesakes_.end() || namesakes->second.ended == 0) return false;
    --namesakes->second.ended;
    return true;
  }

  [[nodiscard]] bool may_be_by_user_data(const LaneEvent& event) const {
    const bool is_told = event.kind == Kind::kernel_ended && names_requests_;
    // A kernel that names requests leaves the name out only in the middle of a multishot, or in a message.
    return !is_told || (event.cqe_flags & (uapi::cqe_more | uapi::cqe_notif)) != 0;
  }

  std::uint64_t number_of_ended(const LaneEvent& event) {
    if (const std::uint64_t number = by_request(event); number != 0) return number;
    return may_be_by_user_data(event) ? by_user_data(event) : 0;
  }

  std::uint64_t number_of(LaneEvent& event) {
    std::uint64_t number = by_request(event);
    if (number == 0 && event.request == 0) number = by_user_data(event);
    return number;
  }

  std::uint64_t by_request(const LaneEvent& event) {
    if (event.request == 0) return 0;
    const auto found = by_request_.find(event.request);
    return found == by_request_.end() ? 0 : found->second;
  }

  std::uint64_t by_user_data(const LaneEvent& event) {
    const auto namesakes = find_namesakes(event);
    return namesakes != namesakes_.end() && namesakes->second.count == 1 ? namesakes->second.numbers : 0;
  }

  std::unordered_map<RingAndUserData, Namesakes, HashOfThem>::iterator find_namesakes(
      const LaneEvent& event) {
    return namesakes_.find({event.ring, event.user_data});
  }

  void remove(std::uint64_t number, const InFlight& request) {
    const auto namesakes = namesakes_.find({request.ring, request.user_data});
    namesakes->second.numbers ^= number;
    if (--namesakes->second.count == 0) namesakes_.erase(namesakes);
    if (const auto same = by_request_.find(request.request);
        same != by_request_.end() && same->second == number)
      by_request_.erase(same);
    in_flight_.erase(number);
  }

  bool names_requests_;
  LaneRequests done_;
  std::map<std::uint8_t, std::vector<std::int64_t>> times_;
  std::unordered_map<std::uint64_t, InFlight> in_flight_;        // by number
  std::unordered_map<std::uint64_t, std::uint64_t> by_request_;  // its number
  std::unordered_map<RingAndUserData, Namesakes, HashOfThem> namesakes_;
};

std::uint64_t words_of(std::uint64_t high, std::uint32_t low) { return high << 32 | low; }

TimedEvent as_timed(const LaneEvent& event, std::uint64_t number) {
  TimedEvent timed{
      .ns = event.ns, .id = number, .a = event.user_data, .kind = event.kind, .opcode = event.opcode};
  switch (event.kind) {
    case Kind::cpu_off:
    case Kind::cpu_on:
      timed.id = static_cast<std::uint64_t>(event.tid);
      timed.a = static_cast<std::uint64_t>(event.result);
      break;
    case Kind::kernel_ended:
    case Kind::kernel_overflow:
      timed.b = words_of(static_cast<std::uint32_t>(event.result), event.cqe_flags);
      break;
    default:
      timed.b = (event.ring & corering::trace::Event::id_mask) | static_cast<std::uint64_t>(event.sqe_flags)
                                                                     << 56;
  }
  return timed;
}

/// A trace file holds 256 threads, and those that the program records itself come first.
constexpr std::size_t most_threads = 120;

/// The recordings of the threads, in the order in which they first did something.
class Threads {
 public:
  explicit Threads(const std::unordered_map<std::int32_t, std::string>& names) : names_(names) {}

  void add(std::int32_t tid, const TimedEvent& event) {
    const auto found = index_.find(tid);
    const bool is_known = found != index_.end() || (names_.contains(tid) && all_.size() < most_threads);
    if (!is_known) {
      others_.events.push_back(event);
    } else if (found != index_.end()) {
      all_[found->second].events.push_back(event);
    } else {
      index_.emplace(tid, all_.size());
      all_.push_back({.tid = tid, .name = "kernel, " + names_.at(tid), .events = {event}});
    }
  }

  [[nodiscard]] std::vector<ThreadRecording> finish(std::uint64_t lost) {
    others_.name = "kernel, others";
    others_.lost = lost;
    if (lost > 0 || !others_.events.empty()) all_.push_back(std::move(others_));
    return std::move(all_);
  }

 private:
  const std::unordered_map<std::int32_t, std::string>& names_;
  std::unordered_map<std::int32_t, std::size_t> index_;
  std::vector<ThreadRecording> all_;
  ThreadRecording others_;
};

}  // namespace

LaneRequests join_requests(LaneRecording recording) {
  Join join(recording.names_requests);
  Threads threads(recording.thread_names);
  for (LaneEvent& event : recording.events) {
    const bool is_of_a_thread = event.kind == Kind::cpu_off || event.kind == Kind::cpu_on;
    const std::uint64_t number = is_of_a_thread ? 0 : join.take(event);
    threads.add(event.tid, as_timed(event, number));
  }
  LaneRequests done = join.finish();
  done.threads = threads.finish(recording.lost);
  return done;
}

std::int64_t percentile(const std::vector<std::int64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

}  // namespace iotrace
