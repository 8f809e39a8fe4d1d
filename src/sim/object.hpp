/// object.hpp — what a simulated descriptor stands for, and who waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <poll.h>
#include <sys/uio.h>
#include <vector>

#include <corering/base/intrusive_list.hpp>

#include "emulation/call.hpp"

namespace corering::sim {

class System;
class SimWorld;
struct Object;

/// A call that waits for an object, or that a helper has.
struct Watch : ListNode {
  enum class State : std::uint8_t { idle, watching, lent, ready, reported };
  State state = State::idle;
  bool is_edges = false;
  bool is_late = false;  ///< its report is on the way
  std::uint32_t events = 0;
  std::uint32_t shown = 0;
  std::uint64_t round = 0;  ///< tells what was planned for an earlier call that had this place
  emulation::Call* call = nullptr;
  SimWorld* world = nullptr;
  std::shared_ptr<Object> object;
  std::vector<iovec> buffers;  ///< that the kernel will write to; only for the address sanitizer
};

/// Reported whether they are asked for or not.
inline constexpr std::uint32_t always_shown = POLLERR | POLLHUP;

/// A file, in the sense of the kernel: what descriptors refer to.
struct Object {
  enum class Kind : std::uint8_t { ring, counter, pipe, stream, datagram, file, signals, process };
  explicit Object(Kind which) noexcept : kind(which) {}
  Object(Object&&) = delete;
  virtual ~Object() = default;

  /// The events of poll(2) that it shows now.
  [[nodiscard]] virtual std::uint32_t shown() const noexcept = 0;
  /// What it shows may have changed.
  virtual void notice_change(System& /*system*/) {}
  /// Nobody uses it any more.
  virtual void last_close(System& /*system*/) noexcept {}

  const Kind kind;
  bool is_nonblocking = false;
  int number = -1;    ///< its newest descriptor, for the log
  unsigned uses = 0;  ///< descriptors, and calls that wait for it
  IntrusiveList<Watch> watches;
};

}  // namespace corering::sim
