/// restrictions.cpp — the list that a restricted ring is given.
#include "uring/restrictions.hpp"

#include <array>
#include <bitset>
#include <cerrno>
#include <cstddef>

namespace corering {
namespace {

using uapi::Restriction;

// How a worker is woken, cancels, and closes what its tasks leave open.
constexpr std::array needed_by_a_worker = {Opcode::read, Opcode::async_cancel, Opcode::close};

// All of them are about the memory and the descriptors that the process has anyway. Oldest first: a kernel
// refuses a list with a number that it does not know, so those that came later are left out, step by step.
constexpr std::array registrations = {uapi::unregister_buffers,        uapi::unregister_files,
                                      uapi::register_files_update,     uapi::register_probe,
                                      uapi::register_files2,           uapi::register_buffers2,
                                      uapi::register_buffers_update,                                 // 5.13
                                      uapi::register_iowq_aff,                                       // 5.14
                                      uapi::register_iowq_max_workers,                               // 5.15
                                      uapi::register_ring_fds,         uapi::unregister_ring_fds,    // 5.18
                                      uapi::register_pbuf_ring,        uapi::unregister_pbuf_ring};  // 5.19
constexpr std::array known_registrations_of = {registrations.size(), std::size_t{11}, std::size_t{9},
                                               std::size_t{8},       std::size_t{7},  std::size_t{4}};

class List {
 public:
  List(std::span<const Opcode> allowed, std::size_t known_registrations) noexcept {
    add(Restriction::What::sqe_flags_allowed, 0xff);
    for (std::size_t i = 0; i < known_registrations; ++i)
      add(Restriction::What::register_op, registrations[i]);
    for (const Opcode opcode : needed_by_a_worker) allow(opcode);
    for (const Opcode opcode : allowed) allow(opcode);
  }
  int register_with(KernelRing& ring) noexcept {
    return ring.register_resource(uapi::register_restrictions, entries_.data(),
                                  static_cast<unsigned>(count_));
  }

 private:
  void allow(Opcode opcode) noexcept {
    const auto number = static_cast<std::size_t>(opcode);
    if (!allowed_.test(number)) add(Restriction::What::sqe_op, number);
    allowed_.set(number);
  }
  void add(Restriction::What what, std::size_t value) noexcept {
    entries_[count_++] = {.what = what, .value = static_cast<std::uint8_t>(value)};
  }

  static constexpr std::size_t most_opcodes = 256;
  std::bitset<most_opcodes> allowed_;
  std::array<Restriction, 1 + registrations.size() + most_opcodes> entries_{};
  std::size_t count_ = 0;
};

}  // namespace

int restrict_and_enable(KernelRing& ring, std::span<const Opcode> allowed) noexcept {
  int result = -EINVAL;
  for (auto known = known_registrations_of.begin();
       result == -EINVAL && known != known_registrations_of.end(); ++known)
    result = List(allowed, *known).register_with(ring);
  return result < 0 ? result : ring.register_resource(uapi::register_enable_rings, nullptr, 0);
}

}  // namespace corering
