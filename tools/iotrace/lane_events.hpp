/// lane_events.hpp — what the kernel lane reports, and how its events become requests with a begin and an
/// end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <corering/trace/recording.hpp>

namespace iotrace {

/// One report of the kernel. Its kind is one of kernel_* or cpu_*.
struct LaneEvent {
  std::int64_t ns = 0;        ///< CLOCK_MONOTONIC_RAW
  std::uint64_t ring = 0;     ///< an address of the kernel's
  std::uint64_t request = 0;  ///< another one; it is used again when the request has ended. 0: not told
  std::uint64_t user_data = 0;
  std::int32_t result = 0;  ///< of cpu_off: 1 if the thread wanted to go on
  std::uint32_t cqe_flags = 0;
  std::int32_t tid = 0;  ///< the thread on which it happened, which need not be one of the program's
  corering::trace::Kind kind = corering::trace::Kind::none;
  std::uint8_t opcode = corering::trace::no_opcode;
  std::uint8_t sqe_flags = 0;
};

/// What a lane has seen.
struct LaneRecording {
  std::vector<LaneEvent> events;  ///< in the order of time
  std::uint64_t lost = 0;         ///< reports for which there was no room
  bool names_requests = true;     ///< kernel_ended tells its request; on kernels before 5.19 it does not
  std::unordered_map<std::int32_t, std::string> thread_names;
};

/// What became of the requests.
struct LaneCounts {
  std::uint64_t began = 0;
  std::uint64_t ended = 0;        ///< of those that began: with a CQE, the last one if there are several
  std::uint64_t without_cqe = 0;  ///< of those that began: their program asked for no CQE
                                  ///< (IOSQE_CQE_SKIP_SUCCESS), so nobody knows when they ended
  std::uint64_t in_flight = 0;    ///< of those that began: they had not ended when the recording did
  std::uint64_t unreported = 0;   ///< of those that began: they ended, but the report is missing
  std::uint64_t cqes = 0;         ///< all of them, also those of requests that nobody saw begin
  std::uint64_t overflowed = 0;   ///< of the CQEs: the CQ was full
  std::uint64_t foreign = 0;      ///< of the CQEs: they belong to no request that was seen to begin, as
                                  ///< messages from other rings do
};

/// The times from the begin to the end of the requests of one opcode, in nanoseconds.
struct OpcodeTimes {
  std::uint8_t opcode = 0;
  std::vector<std::int64_t> ns;  ///< sorted
};

/// The requests of a recording.
struct LaneRequests {
  LaneCounts counts;
  std::vector<OpcodeTimes> times;  ///< by opcode; of requests with one CQE only
  /// The events of each thread. Event::id is a number that one request alone has, or 0 if its request is not
  /// known. What happened on threads of others (and, if they are many, on the last ones) comes last, with the
  /// thread id 0, and with what was lost.
  std::vector<corering::trace::ThreadRecording> threads;
};

/// Finds out to which request each report belongs: by the address of the request, and where the kernel does
/// not tell it, by the ring and the user_data, if only one request in flight has these.
[[nodiscard]] LaneRequests join_requests(LaneRecording recording);

/// Returns the time below which `share` (0 to 1) of them are, or 0 if there are none.
[[nodiscard]] std::int64_t percentile(const std::vector<std::int64_t>& sorted, double share);

}  // namespace iotrace
