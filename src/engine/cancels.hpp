/// cancels.hpp — which operations the kernel is to cancel, which it has been asked for, and what it answered.
///
/// An operation has at most one cancel with the kernel, and the kernel's answer names it by a number. Only
/// what the kernel has missed (ENOENT, EALREADY: it was between two states) is asked for again, a little
/// later. And only so many cancels are with the kernel at once, so that their answers never fill the CQ. So
/// the cost of cancelling grows with the number of operations, however many there are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <corering/base/intrusive_list.hpp>
#include <corering/base/time.hpp>
#include <corering/engine/completion.hpp>
#include <corering/uring/uapi.hpp>

namespace corering {

/// thread: the worker's
class Cancels {
 public:
  Cancels() noexcept;
  Cancels(Cancels&&) = delete;

  /// Says how many completions the ring holds.
  void limit_to(std::uint32_t cq_entries) noexcept;

  /// Notes an operation that is with the kernel. Its state becomes cancelling, and it stays in one of the
  /// lists here until it is answered.
  void add(Completion& target) noexcept;
  /// To be called with an operation whose last answer has come while it was in a list here.
  void answered(Completion& target) noexcept;

  /// To be called with an operation in a list here that has answered, and will answer again.
  void answered_in_part(Completion& target, TimePoint now) noexcept;

  /// Returns true if there is an operation for which the kernel can be asked now.
  [[nodiscard]] bool has_next() const noexcept { return !waiting_.empty() && asked_ < most_; }
  /// Fills an SQE that cancels a request of the loop itself, which is no operation.
  void fill_for_own(Sqe& sqe, std::uint64_t own_user_data, std::uint64_t tag) noexcept;
  /// Fills the SQE that asks for the next one.
  void fill_next(Sqe& sqe, std::uint64_t tag) noexcept;
  /// Takes the kernel's answer to an SQE that fill_next() has filled.
  void take_answer(std::uint64_t user_data, std::int32_t res, TimePoint now) noexcept;

  /// Returns true if the loop must look here before it sleeps.
  [[nodiscard]] bool needs_attention() const noexcept { return needs_attention_; }
  /// Makes those that were missed wait again, if it is time.
  void look(TimePoint now) noexcept;
  /// Returns how long a sleep may last before look() is due, or max() if nothing is due.
  [[nodiscard]] Duration until_due(TimePoint now) const noexcept;

  /// Returns how many cancels the kernel has not answered.
  [[nodiscard]] std::uint32_t asked() const noexcept { return asked_; }
  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] bool holds_its_invariants(std::size_t most) noexcept;

 private:
  static constexpr std::uint16_t none = 0xffff;
  static constexpr std::size_t numbers = 256;

  /// Returns the number of a cancel of `target`, which may be null.
  [[nodiscard]] std::uint16_t take_number(Completion* target) noexcept;
  [[gnu::noinline]] void look_at_answer(Completion& target, std::int32_t res, TimePoint now) noexcept;
  void note_missed(Completion& target, TimePoint now) noexcept;
  [[nodiscard]] static bool is_by_force(const Completion& target) noexcept;
  void note_attention() noexcept { needs_attention_ = !waiting_.empty() || !missed_.empty(); }

  IntrusiveList<Completion> waiting_;      // the kernel must be asked for these
  IntrusiveList<Completion> with_kernel_;  // it has been asked, or has said that these will end
  IntrusiveList<Completion> missed_;       // it did not find these; ask again at next_look_
  TimePoint next_look_ = TimePoint::min();
  bool needs_attention_ = false;
  std::uint32_t asked_ = 0;
  std::uint32_t most_ = numbers;

  // What each number stands for: an operation, or null if that has been answered in the meantime. The numbers
  // that nobody uses form a list.
  std::array<Completion*, numbers> targets_{};
  std::array<std::uint16_t, numbers> next_free_{};
  std::uint16_t first_free_ = 0;
};

}  // namespace corering
