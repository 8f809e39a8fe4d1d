/// capabilities.hpp — what this kernel can do with a ring, found by asking and by trying.
///
/// Nothing relies on a version string: distributions port features back, and seccomp profiles take them
/// away. Features that corering cannot do without (Linux 5.19) are not listed. A listed feature has a
/// fallback, or what needs it fails with `std::errc::operation_not_supported` and a message that names the
/// kernel it needs.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include <corering/uring/kernel.hpp>
#include <corering/uring/uapi.hpp>

namespace corering {

/// Something that is not an opcode, but a flag of an opcode or of the ring, or a way to register something.
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

/// What CORERING_MASK and `corering doctor` call something, the Linux version that first had it, and what
/// stands in for it where it is missing.
struct Offer {
  std::string_view name;
  std::string_view since;
  std::string_view instead;
};

[[nodiscard]] const Offer& offer_of(Feature feature) noexcept;

/// For opcodes newer than 5.19. Returns null for the opcodes that every kernel has on which corering runs.
[[nodiscard]] const Offer* offer_of(Opcode opcode) noexcept;

/// Either an opcode or a feature.
class Need {
 public:
  Need(Opcode opcode) noexcept : value_(static_cast<int>(opcode)) {}           // NOLINT: meant to convert
  Need(Feature feature) noexcept : value_(256 + static_cast<int>(feature)) {}  // NOLINT

  /// The error for a need that the kernel does not meet: "futex_wait needs Linux 6.7 or newer, ...". It
  /// equals std::errc::operation_not_supported.
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

/// Opens a ring for a moment and finds out what the kernel can do. Returns nothing if the ring cannot be
/// opened. The environment variable CORERING_MASK names things, separated by commas, that will seem to be
/// missing, as in `CORERING_MASK=bind,bundles`. That is how to test fallbacks on a new kernel.
[[nodiscard]] std::optional<Capabilities> probe(Kernel& kernel);

/// Returns the first name in CORERING_MASK that is not the name of an Offer, or an empty text if there is
/// none. With a wrong name, a worker does not start.
[[nodiscard]] std::string_view wrong_name_in_mask() noexcept;

}  // namespace corering
