/// restriction_list.cpp — reading the list, and asking it.
#include "emulation/restriction_list.hpp"

#include <cerrno>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

// Linux counts those that it knows; here it is what some Linux knows.
constexpr unsigned end_of_opcodes = static_cast<unsigned>(Opcode::pipe) + 1;
constexpr unsigned end_of_registrations = 64;

}  // namespace

int RestrictionList::note(const uapi::Restriction& one) noexcept {
  switch (one.what) {
    case uapi::Restriction::What::register_op:
      registrations_.set(one.value);
      return one.value < end_of_registrations ? 0 : -EINVAL;
    case uapi::Restriction::What::sqe_op:
      opcodes_.set(one.value);
      return one.value < end_of_opcodes ? 0 : -EINVAL;
    case uapi::Restriction::What::sqe_flags_allowed:
      flags_allowed_ = one.value;
      return 0;
    case uapi::Restriction::What::sqe_flags_required:
      flags_required_ = one.value;
      return 0;
  }
  return -EINVAL;
}

int RestrictionList::give(std::span<const uapi::Restriction> list) noexcept {
  if (are_given_) return -EBUSY;
  for (const uapi::Restriction& one : list) {
    if (const int error = note(one); error < 0) {
      *this = {};
      return error;
    }
  }
  are_given_ = true;
  return 0;
}

bool RestrictionList::allow(const Sqe& sqe) const noexcept {
  CORERING_DEBUG_ASSERT(are_given_ || !hold_, "a list that holds was given");
  if (!hold_) return true;
  const unsigned extra = sqe.flags & ~unsigned{flags_allowed_} & ~unsigned{flags_required_};
  return opcodes_.test(sqe.opcode) && (sqe.flags & flags_required_) == flags_required_ && extra == 0;
}

bool RestrictionList::allow_registration(unsigned number) const noexcept {
  return !hold_ || (number < registrations_.size() && registrations_.test(number));
}

}  // namespace corering::emulation
