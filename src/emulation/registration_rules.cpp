/// registration_rules.cpp — sizes, flags and fields that have to be zero.
#include "emulation/registration_rules.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <unistd.h>

#include <corering/uring/uapi.hpp>

namespace corering::emulation {
namespace {

int error_of_table(const uapi::RsrcRegister& wish, unsigned size) noexcept {
  if (size != sizeof wish || wish.count == 0 || wish.reserved != 0) return -EINVAL;
  if ((wish.flags & ~uapi::rsrc_register_sparse) != 0 || wish.tags != 0) return -EINVAL;  // nobody posts tags
  return (wish.flags & uapi::rsrc_register_sparse) != 0 && wish.data != 0 ? -EINVAL : 0;
}

int error_of_files_update(const uapi::RsrcUpdate& update, unsigned count) noexcept {
  if (count == 0 || update.reserved != 0) return -EINVAL;
  return update.offset + count < count ? -EOVERFLOW : 0;
}

int error_of_buffers_update(const uapi::RsrcUpdate2& update, unsigned size) noexcept {
  if (size != sizeof update || update.count == 0) return -EINVAL;
  if (update.reserved != 0 || update.reserved2 != 0 || update.tags != 0) return -EINVAL;
  return update.offset + update.count < update.count ? -EOVERFLOW : 0;
}

int error_of_group(const uapi::BufferRingRegister& wish, unsigned count) noexcept {
  constexpr std::uint32_t most_entries = 32768;
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const bool is_reserved = std::ranges::any_of(wish.reserved, [](std::uint64_t word) { return word != 0; });
  if (count != 1 || is_reserved || (wish.flags & ~uapi::pbuf_ring_inc) != 0) return -EINVAL;
  if (!std::has_single_bit(wish.entries) || wish.entries > most_entries) return -EINVAL;
  if (wish.address == 0) return -EFAULT;
  return wish.address % page != 0 ? -EINVAL : 0;
}

int error_of_probe(const uapi::Probe& probe, unsigned count) noexcept {
  if (count > probe.ops.size()) return -EINVAL;
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&probe);
  const std::span given(bytes, offsetof(uapi::Probe, ops) + count * sizeof probe.ops[0]);
  return std::ranges::any_of(given, [](std::uint8_t byte) { return byte != 0; }) ? -EINVAL : 0;
}

}  // namespace

int error_of_registration(unsigned opcode, const void* argument, unsigned count) noexcept {
  switch (opcode) {
    case uapi::unregister_files:
    case uapi::unregister_buffers:
      return argument != nullptr || count != 0 ? -EINVAL : 0;
    case uapi::register_files2:
    case uapi::register_buffers2:
      return error_of_table(*static_cast<const uapi::RsrcRegister*>(argument), count);
    case uapi::register_files_update:
      return error_of_files_update(*static_cast<const uapi::RsrcUpdate*>(argument), count);
    case uapi::register_buffers_update:
      return error_of_buffers_update(*static_cast<const uapi::RsrcUpdate2*>(argument), count);
    case uapi::register_pbuf_ring:
      return error_of_group(*static_cast<const uapi::BufferRingRegister*>(argument), count);
    case uapi::unregister_pbuf_ring:
      return count != 1 || static_cast<const uapi::BufferRingRegister*>(argument)->flags != 0 ? -EINVAL : 0;
    case uapi::register_probe:
      return error_of_probe(*static_cast<const uapi::Probe*>(argument), count);
    default:
      return 0;
  }
}

}  // namespace corering::emulation
