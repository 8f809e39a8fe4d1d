/// capabilities.hpp — what this kernel can do with a ring, found by asking and by trying.
///
/// Never from a version string: distributions port features back, and seccomp profiles take them away. What
/// corering cannot do without (Linux 5.19) is not listed. What is listed has a fallback, or fails with
/// `std::errc::operation_not_supported` and a message that names the kernel it needs.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include <corering/uring/abi.hpp>
#include <corering/uring/kernel.hpp>

namespace corering {

/// What is no opcode, but a flag of one or of the ring, or a way to register something.
enum class Feature : std::uint8_t {
  single_issuer,
  defer_taskrun,
  recv_multishot,
  send_zc_report_usage,
  timeout_multishot,
  cancel_by_opcode,
  socket_options,
  bundles,
  accept_dontwait,
  nop_inject_result,
  incremental_buffers,
  no_iowait,
  send_vectorized,
  count_,
};

/// How something is called in CORERING_MASK and by `corering doctor`, since when Linux has it, and what
/// stands in for it where it is missing.
struct Offer {
  std::string_view name;
  std::string_view since;
  std::string_view instead;
};

[[nodiscard]] const Offer& offer_of(Feature feature) noexcept;

/// For opcodes newer than 5.19; null for those that every kernel has that corering runs on.
[[nodiscard]] const Offer* offer_of(Opcode opcode) noexcept;

/// One of both.
class Need {
 public:
  Need(Opcode opcode) noexcept : value_(static_cast<int>(opcode)) {}           // NOLINT: meant to convert
  Need(Feature feature) noexcept : value_(256 + static_cast<int>(feature)) {}  // NOLINT

  /// "futex_wait needs Linux 6.7 or newer, ...". Equals std::errc::operation_not_supported.
  [[nodiscard]] std::error_code unmet() const noexcept;

 private:
  friend class Capabilities;
  int value_;
};

class Capabilities {
 public:
  [[nodiscard]] bool has(Opcode opcode) const noexcept { return opcodes_[static_cast<std::size_t>(opcode)]; }
  [[nodiscard]] bool has(Feature feature) const noexcept {
    return features_[static_cast<std::size_t>(feature)];
  }

  [[nodiscard]] bool has(Need need) const noexcept {
    return need.value_ < 256 ? has(static_cast<Opcode>(need.value_))
                             : has(static_cast<Feature>(need.value_ - 256));
  }

  void set(Opcode opcode, bool there) noexcept { opcodes_[static_cast<std::size_t>(opcode)] = there; }
  void set(Feature feature, bool there) noexcept { features_[static_cast<std::size_t>(feature)] = there; }

 private:
  std::bitset<256> opcodes_;
  std::bitset<static_cast<std::size_t>(Feature::count_)> features_;
};

/// Opens a ring for a moment and finds out; nothing if it cannot be opened. What the environment variable
/// CORERING_MASK names, separated by commas, as in `CORERING_MASK=bind,bundles`, is made to be missing: the
/// way to test fallbacks on a new kernel.
[[nodiscard]] std::optional<Capabilities> probe(Kernel& kernel);

/// The first name in CORERING_MASK that is none of an Offer; empty if all are. A worker does not start then.
[[nodiscard]] std::string_view wrong_name_in_mask() noexcept;

}  // namespace corering
