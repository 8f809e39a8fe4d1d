/// restriction_list.hpp — what a ring was given when it was made, see io_uring_register(2),
/// REGISTER_RESTRICTIONS.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>

#include <corering/uring/uapi.hpp>

namespace corering::emulation {

/// They hold from when the ring is enabled on. Without a list everything is allowed.
class RestrictionList {
 public:
  /// Returns 0, or -EINVAL for a list with something that nobody knows: then nothing of it counts.
  /// -EBUSY: there is a list already.
  [[nodiscard]] int give(std::span<const uapi::Restriction> list) noexcept;
  void enable() noexcept { hold_ = are_given_; }

  [[nodiscard]] bool hold() const noexcept { return hold_; }
  [[nodiscard]] bool allow(const Sqe& sqe) const noexcept;
  [[nodiscard]] bool allow_registration(unsigned number) const noexcept;

 private:
  [[nodiscard]] int note(const uapi::Restriction& one) noexcept;

  bool are_given_ = false;
  bool hold_ = false;
  std::bitset<256> opcodes_;
  std::bitset<256> registrations_;
  std::uint8_t flags_allowed_ = 0;
  std::uint8_t flags_required_ = 0;
};

}  // namespace corering::emulation
