/// submission.hpp — an SQE that was taken and is not yet answered.
#pragma once

#include <cstdint>
#include <memory>
#include <sys/socket.h>
#include <vector>

#include "emulation/world.hpp"

namespace corering::emulation {

/// Where an operation is. It is in one place at a time.
enum class Place : std::uint8_t {
  nowhere,  ///< being begun or ended
  chained,  ///< after another one, which has not ended
  watched,  ///< its descriptor is watched
  lent,     ///< a helper has it
  timed,    ///< its timer runs
  counted,  ///< a timeout that ends after a number of completions
  queued,   ///< its next step comes with the next enter that gets events
};

/// What is done with an operation that is queued.
enum class NextStep : std::uint8_t { end, begin, go_on };

/// The buffers that were chosen for an attempt.
struct Chosen {
  std::uint16_t group = 0;
  std::uint16_t first = 0;  ///< the id of the first one
  std::uint32_t count = 0;  ///< 0: none was chosen
  bool is_taken = false;    ///< a helper has them: they have left their ring
  bool is_partly_left = false;
  std::unique_ptr<std::vector<iovec>> several;
};

/// For operations that fill a header of their own (recvmsg with a chosen buffer).
struct OwnMessage {
  msghdr header{};
  iovec part{};
};

/// One SQE, from when it is taken until its last CQE.
struct Submission : Call {
  Place place = Place::nowhere;
  NextStep step = NextStep::end;
  bool has_failed = false;  ///< the links after it do not begin
  bool skips_cqe = false;   ///< CQE_SKIP_SUCCESS
  bool skips_cqes_of_links = false;
  bool notifies = false;            ///< a zero-copy send: a second CQE tells when it has ended
  bool hides_notification = false;  ///< its first CQE does not say so: it was cancelled with its chain
  bool is_answered = false;         ///< then only that second CQE is left
  std::int32_t result = 0;          ///< if it is queued to end
  std::uint32_t result_flags = 0;
  int named_fd = -1;                ///< as the SQE names it (or its slot's); `sqe.fd` may be a copy
  int held_fd = -1;                 ///< a copy for helpers: the file stays the same when the number is closed
  std::uint32_t slot = 0;           ///< the `file_index` of the SQE: where a new file goes
  std::uint32_t shots = 0;          ///< how many CQEs have said that more will come
  std::uint64_t expected = 0;       ///< the bytes of a whole transfer; less breaks a chain
  std::uint64_t original_addr = 0;  ///< as the SQE had them, before a buffer was chosen
  std::uint32_t original_len = 0;
  Chosen chosen;
  std::unique_ptr<OwnMessage> message;

  // ---- links ----
  Submission* next_link = nullptr;
  Submission* link_timeout = nullptr;  ///< of an operation with a deadline
  Submission* limited = nullptr;       ///< of a LINK_TIMEOUT: what it ends

  // ---- timers ----
  std::int64_t deadline = 0;  ///< nanoseconds of `clock`
  std::int64_t interval = 0;
  std::size_t heap_index = 0;
  std::uint64_t target = 0;  ///< of Place::counted: how many completions
  ClockKind clock = ClockKind::monotonic;

  // ---- the ring's lists ----
  Submission* queue_next = nullptr;
  Submission* bucket_next = nullptr;
  Submission* older = nullptr;
  Submission* younger = nullptr;
  bool is_listed = false;
  std::uint64_t cancel_round = 0;  ///< the last cancel request that has looked at it

  [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>(sqe.opcode); }
  [[nodiscard]] bool has_flag(std::uint32_t flag) const noexcept { return (sqe.flags & flag) != 0; }
  [[nodiscard]] bool is_linked_on() const noexcept {
    return has_flag(uapi::sqe_io_link | uapi::sqe_io_hardlink);
  }
  [[nodiscard]] bool closes_a_slot() const noexcept { return opcode() == Opcode::close && held_fd >= 0; }
  [[nodiscard]] bool selects_buffer() const noexcept { return has_flag(uapi::sqe_buffer_select); }
};

}  // namespace corering::emulation
