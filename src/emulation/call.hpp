/// call.hpp — one call of an emulated ring to its world, and what came of it.
#pragma once

#include <cstdint>
#include <sys/uio.h>

#include <corering/base/intrusive_list.hpp>
#include <corering/base/time.hpp>
#include <corering/uring/uapi.hpp>

namespace corering::emulation {

/// No call moves more: MAX_RW_COUNT of the kernel.
inline constexpr std::uint64_t most_bytes = 0x7fff'f000;

/// What came of an attempt.
struct Answer {
  enum class Kind : std::uint8_t {
    done,    ///< `result` is what the call returned, or -errno
    waits,   ///< try again when `fd` shows one of `events`
    helper,  ///< it may block: lend() the call
    later,   ///< nobody reports when it can go on: try again after `again_after`
  };
  Kind kind = Kind::done;
  std::int32_t result = 0;
  int fd = -1;
  std::uint32_t events = 0;  ///< POLLIN and the like, as in poll(2)
  Duration again_after = Duration::zero();

  [[nodiscard]] static Answer done(std::int64_t result) noexcept {
    return {.result = static_cast<std::int32_t>(result)};
  }
  [[nodiscard]] static Answer waits(int fd, std::uint32_t events) noexcept {
    return {.kind = Kind::waits, .fd = fd, .events = events};
  }
  [[nodiscard]] static Answer helper() noexcept { return {.kind = Kind::helper}; }
  [[nodiscard]] static Answer later(Duration after) noexcept {
    return {.kind = Kind::later, .again_after = after};
  }
};

/// One call. The ring fills it in; the world has it while it is watched or lent.
/// keep alive: it, until it has been reported, or unwatch() or take_back() has given it back
struct Call : ListNode {
  /// Like the SQE, but resolved: `fd` is a descriptor of the process (no slot of a file table), `addr` and
  /// `len` name the chosen buffer, and `file_index` is 0 except for an operation's own use.
  Sqe sqe{};
  /// Several chosen buffers (bundles). If there are any, they stand for `addr` and `len`.
  const iovec* parts = nullptr;
  std::uint32_t part_count = 0;
  /// The descriptors that the call makes are for a file table: they are close-on-exec, whatever the flags
  /// say.
  bool keeps_private = false;
  /// The call waited for readiness, and that was reported.
  bool was_ready = false;
  /// It was taken as a PlainCall: the world may try it without being asked when it is ready.
  bool is_plain = false;
  /// IOSQE_ASYNC: what can block goes to a helper without an attempt.
  bool wants_helper = false;
  /// What earlier attempts of a transfer have moved, in bytes. The world counts it; the ring sets it to 0,
  /// and answers with it if the rest is cancelled.
  std::uint64_t moved = 0;
  /// What came out on a helper. Only the world uses it.
  Answer ended;
  /// A place for the world's own notes on this call.
  void* note = nullptr;
};

}  // namespace corering::emulation
