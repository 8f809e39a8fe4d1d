/// lane_records.cpp — the layouts of the records, which follow from what perf_events.cpp asks for.
#include "lane_records.hpp"

#include <algorithm>
#include <cstring>
#include <linux/perf_event.h>

namespace iotrace {
namespace {

using corering::trace::Kind;

// A sample: header, process and thread (unless left out), time, size of what follows, and what the tracepoint
// reports, which begins with its number.
constexpr std::size_t who_bytes = 4 + 4;
constexpr std::size_t time_bytes = 8;
// Other records end with process, thread and time.
constexpr std::size_t trailer_bytes = who_bytes + time_bytes;

}  // namespace

LaneRecord::LaneRecord(const std::byte* record, bool samples_tell_who) noexcept
    : record_(record), samples_tell_who_(samples_tell_who) {
  const auto header = at<perf_event_header>(0);
  type_ = header.type;
  misc_ = header.misc;
  size_ = header.size;
}

template <class T>
T LaneRecord::at(std::size_t offset) const noexcept {
  T value;
  std::memcpy(&value, record_ + offset, sizeof value);
  return value;
}

std::size_t LaneRecord::origin() const noexcept {
  return type_ == PERF_RECORD_SAMPLE ? sizeof(perf_event_header) : size_ - trailer_bytes;
}

bool LaneRecord::tells_who() const noexcept { return type_ != PERF_RECORD_SAMPLE || samples_tell_who_; }

std::size_t LaneRecord::time_at() const noexcept { return origin() + (tells_who() ? who_bytes : 0); }

std::int32_t LaneRecord::process() const noexcept { return tells_who() ? at<std::int32_t>(origin()) : 0; }

std::optional<LaneEvent> LaneRecord::event(std::span<const Tracepoint> tracepoints) const noexcept {
  if (type_ == PERF_RECORD_SAMPLE) return sample(tracepoints);
  if (type_ == PERF_RECORD_SWITCH || type_ == PERF_RECORD_SWITCH_CPU_WIDE) return processor_change();
  return std::nullopt;
}

std::optional<LaneEvent> LaneRecord::sample(std::span<const Tracepoint> tracepoints) const noexcept {
  const std::size_t raw_at = time_at() + time_bytes + sizeof(std::uint32_t);
  const auto tracepoint = std::ranges::find(tracepoints, at<std::uint16_t>(raw_at), &Tracepoint::id);
  if (tracepoint == tracepoints.end()) return std::nullopt;
  const std::byte* const raw = record_ + raw_at;
  LaneEvent event{.ns = at<std::int64_t>(time_at()),
                  .ring = tracepoint->ring.read(raw),
                  .request = tracepoint->request.read(raw),
                  .user_data = tracepoint->user_data.read(raw),
                  .result = static_cast<std::int32_t>(tracepoint->result.read(raw)),
                  .cqe_flags = static_cast<std::uint32_t>(tracepoint->cqe_flags.read(raw)),
                  .tid = static_cast<std::int32_t>(tracepoint->thread.read(raw)),
                  .kind = tracepoint->kind,
                  .sqe_flags = static_cast<std::uint8_t>(tracepoint->flags.read(raw))};
  if (tracepoint->opcode.is_there()) event.opcode = static_cast<std::uint8_t>(tracepoint->opcode.read(raw));
  if (samples_tell_who_) event.tid = at<std::int32_t>(origin() + 4);
  return event;
}

LaneEvent LaneRecord::processor_change() const noexcept {
  const bool off = (misc_ & PERF_RECORD_MISC_SWITCH_OUT) != 0;
  return {.ns = at<std::int64_t>(time_at()),
          .result = (misc_ & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT) != 0 ? 1 : 0,
          .tid = at<std::int32_t>(origin() + 4),
          .kind = off ? Kind::cpu_off : Kind::cpu_on};
}

std::optional<ThreadNews> LaneRecord::news() const noexcept {
  constexpr std::size_t begin = sizeof(perf_event_header);
  if (type_ == PERF_RECORD_FORK) {  // process, its parent, thread, its parent
    return ThreadNews{.tid = at<std::int32_t>(begin + 8), .parent = at<std::int32_t>(begin + 12), .name = {}};
  }
  if (type_ != PERF_RECORD_COMM) return std::nullopt;  // process, thread, name
  const auto* const name = reinterpret_cast<const char*>(record_ + begin + 8);
  return ThreadNews{.tid = at<std::int32_t>(begin + 4),
                    .name = std::string_view(name, ::strnlen(name, size_ - begin - 8 - trailer_bytes))};
}

std::uint64_t LaneRecord::lost() const noexcept {
  return type_ == PERF_RECORD_LOST ? at<std::uint64_t>(sizeof(perf_event_header) + 8) : 0;
}

}  // namespace iotrace
