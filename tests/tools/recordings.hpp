/// recordings.hpp — recordings made by hand, for the tests of what reads them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <corering/trace/recording.hpp>
#include <corering/uring/uapi.hpp>

namespace iotrace::test {

using corering::Opcode;
using corering::trace::Kind;
using corering::trace::Recording;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

constexpr std::uint64_t cqe(std::int32_t result, std::uint32_t flags = 0) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(result)) << 32 | flags;
}
constexpr std::uint64_t fd_and_length(int fd, std::uint32_t length) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(fd)) << 32 | length;
}

/// Writes down what one thread records.
class Thread {
 public:
  explicit Thread(const char* name, int tid) {
    recording_ = {.tid = tid, .name = name, .lost = 0, .events = {}};
  }

  Thread& at(std::int64_t ns, Kind kind, std::uint64_t id = 0, std::uint64_t a = 0, std::uint64_t b = 0,
             std::uint8_t opcode = corering::trace::no_opcode) {
    recording_.events.push_back({.ns = ns, .id = id, .a = a, .b = b, .kind = kind, .opcode = opcode});
    return *this;
  }
  /// One operation that begins at `ns`: await, SQE and suspension in one go.
  Thread& begins(std::int64_t ns, Opcode opcode, std::uint64_t id, std::uint64_t task,
                 std::uint64_t place = 0, int fd = 5, std::uint32_t length = 4096) {
    const auto code = static_cast<std::uint8_t>(opcode);
    at(ns, Kind::await, id, task, place, code);
    at(ns, Kind::sqe_filled, id, fd_and_length(fd, length), corering::trace::packed_offset(0, 0), code);
    return at(ns, Kind::suspended, id, 0, 0, code);
  }
  Thread& enters(std::int64_t from, std::int64_t to, std::uint64_t sqes, bool may_sleep = true) {
    at(from, Kind::submitted, 1, sqes, may_sleep ? 1 : 0);
    return at(to, may_sleep ? Kind::woken : Kind::entered, 1, sqes);
  }
  Thread& ends(std::int64_t processed, std::int64_t resumed, Opcode opcode, std::uint64_t id,
               std::int32_t result) {
    at(processed, Kind::processed, id, cqe(result));
    return at(resumed, Kind::resumed, id, static_cast<std::uint64_t>(static_cast<std::int64_t>(result)), 0,
              static_cast<std::uint8_t>(opcode));
  }
  operator ThreadRecording() const { return recording_; }

 private:
  ThreadRecording recording_;
};

inline Recording recording_of(std::vector<ThreadRecording> threads) {
  Recording recording;
  recording.pid = 1;
  recording.program = "test";
  recording.threads = std::move(threads);
  return recording;
}

}  // namespace iotrace::test
