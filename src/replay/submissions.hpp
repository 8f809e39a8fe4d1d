/// submissions.hpp — which request a completion answers, and what memory the kernel writes for it.
///
/// user_data is an address, which is different in each run. So requests are numbered as they are submitted.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include <corering/uring/uapi.hpp>

#include "replay/run_event.hpp"

namespace corering::replay {

/// A ring of provided buffers, as the program has filled it.
/// thread: one
class ProvidedBuffers {
 public:
  explicit ProvidedBuffers(const uapi::BufferRingRegister& ring);
  /// Takes note of the buffers that are new in the ring.
  void look() noexcept;
  /// Returns where the kernel has put the next `size` bytes, of one buffer or of several that follow it.
  void fill(std::uint32_t cqe_flags, std::size_t size, std::vector<Written>& pieces) noexcept;

 private:
  const uapi::RingBuffer* ring_;
  std::vector<uapi::RingBuffer> entries_;  // as they were provided
  std::vector<std::uint32_t> used_;        // bytes of each entry
  std::unordered_map<std::uint16_t, std::size_t> place_of_;
  std::uint16_t seen_ = 0;
};

/// What a completion has written. All sizes follow from the request and the result.
struct Effects {
  std::vector<Written> payload;  ///< what was read or received
  std::vector<Written> control;  ///< addresses, lengths, descriptions
  bool has_descriptors = false;  ///< `control` is an array of descriptors
};

struct Submission {
  std::uint64_t number = 0;
  Sqe sqe;
  std::vector<Written> payload;
  std::vector<Written> control;
  std::size_t unit = 0;  ///< of what was written to `control`; 0: always all of it
  /// For a recvmsg.
  struct Message {
    std::size_t name_size = 0;
    bool in_buffer = false;  ///< its name and its control messages, too
  } message{};

  [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>(sqe.opcode); }
  [[nodiscard]] bool returns_descriptor() const noexcept;
  /// Returns true if a notification comes after the answer.
  [[nodiscard]] bool is_notified() const noexcept;
  /// Returns true if it closes a descriptor, and not what is in a slot.
  [[nodiscard]] bool closes() const noexcept { return opcode() == Opcode::close && sqe.file_index == 0; }
};

/// Returns true if the message that has just come carries descriptors (SCM_RIGHTS).
[[nodiscard]] bool have_come_with_descriptors(const Submission& submission, const Effects& effects) noexcept;

/// thread: one
class Submissions {
 public:
  /// Returns the request as an event has it, without its descriptor.
  [[nodiscard]] Event event_of(const Sqe& sqe) const noexcept;

  /// Notes a request that goes to the kernel.
  const Submission& add(const Sqe& sqe);
  /// Returns the request that has this user_data, or null: it came from nowhere.
  [[nodiscard]] const Submission* find(std::uint64_t user_data) const noexcept;
  [[nodiscard]] const Submission* find_number(std::uint64_t number) const noexcept;
  /// Forgets a request that has its last answer.
  void answered(const Cqe& cqe) noexcept;

  void add_buffers(const uapi::BufferRingRegister& ring);
  void remove_buffers(std::uint16_t group) noexcept { buffers_.erase(group); }
  void look_for_buffers() noexcept;

  /// Returns what the kernel has written for this answer.
  [[nodiscard]] Effects effects_of(const Submission& submission, std::int32_t res, std::uint32_t flags);

 private:
  std::uint64_t count_ = 0;
  std::unordered_map<std::uint64_t, Submission> by_user_data_;
  std::unordered_map<std::uint64_t, std::uint64_t> by_number_;
  std::unordered_map<std::uint16_t, ProvidedBuffers> buffers_;
};

}  // namespace corering::replay
