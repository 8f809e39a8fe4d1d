/// descriptor.hpp — what an operation works on: a descriptor of the process, or a slot of the ring's table.
#pragma once

#include <corering/base/fd.hpp>
#include <corering/uring/uapi.hpp>

namespace corering {

/// It is made from an `int`, an Fd, or a FixedFile (resources/file_table.hpp), and does not own it.
/// keep alive: what it was made from stays open until the operation has ended
class Descriptor {
 public:
  Descriptor(int fd) noexcept : number_(fd) {}              // NOLINT: meant to convert
  Descriptor(const Fd& fd) noexcept : number_(fd.get()) {}  // NOLINT

  /// Names slot `number` of the worker's table of files. FixedFile uses this.
  [[nodiscard]] static Descriptor slot(std::uint32_t number) noexcept {
    Descriptor made(static_cast<int>(number));
    made.sqe_flags_ = uapi::sqe_fixed_file;
    return made;
  }

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_slot() const noexcept { return sqe_flags_ != 0; }
  [[nodiscard]] std::uint32_t sqe_flags() const noexcept { return sqe_flags_; }

 private:
  int number_;
  std::uint32_t sqe_flags_ = 0;
};

/// Returns the Request::head of an operation on `descriptor`.
[[nodiscard]] inline std::uint32_t head(Opcode opcode, const Descriptor& descriptor,
                                        std::uint32_t sqe_flags = 0, std::uint32_t ioprio = 0) noexcept {
  return head(opcode, descriptor.sqe_flags() | sqe_flags, ioprio);
}

}  // namespace corering
