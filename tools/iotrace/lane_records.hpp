/// lane_records.hpp — from the records of perf_event_open(2) to the events of the kernel lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lane_events.hpp"
#include "tracepoints.hpp"

namespace iotrace {

/// A record that says what a thread is called, or which thread made it.
struct ThreadNews {
  std::int32_t tid = 0;
  std::int32_t parent = 0;  ///< 0: it is not new, but has the name
  std::string_view name;
};

/// One record, as it lies in a buffer. Valid as long as the record.
class LaneRecord {
 public:
  LaneRecord(const std::byte* record, bool samples_tell_who) noexcept;

  /// Returns the process in which it happened, or 0 if the record does not tell.
  [[nodiscard]] std::int32_t process() const noexcept;

  /// These return nothing if the record is something else. The first takes a report of one of `tracepoints`,
  /// or of a processor that a thread lost or got.
  [[nodiscard]] std::optional<LaneEvent> event(std::span<const Tracepoint> tracepoints) const noexcept;
  [[nodiscard]] std::optional<ThreadNews> news() const noexcept;
  [[nodiscard]] std::uint64_t lost() const noexcept;

 private:
  template <class T>
  [[nodiscard]] T at(std::size_t offset) const noexcept;
  /// Where the process and the thread (4 bytes each) stand, and then the time.
  [[nodiscard]] std::size_t origin() const noexcept;
  [[nodiscard]] bool tells_who() const noexcept;
  [[nodiscard]] std::size_t time_at() const noexcept;
  [[nodiscard]] std::optional<LaneEvent> sample(std::span<const Tracepoint> tracepoints) const noexcept;
  [[nodiscard]] LaneEvent processor_change() const noexcept;

  const std::byte* record_;
  std::uint32_t type_;
  std::uint16_t misc_;
  std::uint16_t size_;
  bool samples_tell_who_;
};

}  // namespace iotrace
