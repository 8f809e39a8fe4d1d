/// tracepoints.hpp — which tracepoints of io_uring this kernel has, and where their fields lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <corering/trace/event_schema.hpp>

namespace iotrace {

/// Where a number lies in what a tracepoint reports.
class TracepointField {
 public:
  TracepointField() noexcept = default;
  TracepointField(std::uint16_t where, std::uint16_t bytes) noexcept : offset(where), size(bytes) {}

  std::uint16_t offset = 0;
  std::uint16_t size = 0;  ///< 0: this kernel's tracepoint has no such field

  [[nodiscard]] bool is_there() const noexcept { return size != 0; }
  /// Returns its value, or 0.
  [[nodiscard]] std::uint64_t read(const std::byte* raw) const noexcept {
    switch (size) {
      case 8:
        return read_as<std::uint64_t>(raw);
      case 4:
        return read_as<std::uint32_t>(raw);
      case 2:
        return read_as<std::uint16_t>(raw);
      case 1:
        return read_as<std::uint8_t>(raw);
      default:
        return 0;
    }
  }

 private:
  template <class T>
  [[nodiscard]] std::uint64_t read_as(const std::byte* raw) const noexcept {
    T value;
    std::memcpy(&value, raw + offset, sizeof value);
    return value;
  }
};

/// One tracepoint, as the kernel's `format` file describes it.
struct Tracepoint {
  corering::trace::Kind kind = corering::trace::Kind::none;
  std::uint64_t id = 0;
  TracepointField thread;  ///< on which it happens, as the first PID namespace knows it
  TracepointField ring;
  TracepointField request;
  TracepointField user_data;
  TracepointField opcode;
  TracepointField flags;
  TracepointField result;
  TracepointField cqe_flags;
};

/// Reads the descriptions of one or several tracepoints, one after the other. Leaves out what is of no
/// interest, and what has no user_data.
[[nodiscard]] std::vector<Tracepoint> parse_tracepoints(std::string_view formats);

/// Where the kernel tells that a process has started another one, or a thread.
struct ForkTracepoint {
  std::uint64_t id = 0;
  TracepointField child;
};

/// What could be learned here.
struct KnownTracepoints {
  std::vector<Tracepoint> all;  ///< empty: tracefs could not be read
  ForkTracepoint fork;
  int error = 0;  ///< and this errno says why
};

/// Learns the tracepoints. If tracefs is not mounted, a child process looks at it in its own mount namespace:
/// nobody else sees that mount, and it ends with the child.
[[nodiscard]] KnownTracepoints learn_tracepoints();

}  // namespace iotrace
