/// software_ring.cpp — the memory of an emulated ring, and its system calls.
#include "emulation/software_ring.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

constexpr std::uint32_t most_sq_entries = 32768;
constexpr std::uint32_t most_cq_entries = 2 * most_sq_entries;
constexpr std::uint32_t known_flags =
    uapi::setup_cqsize | uapi::setup_clamp | uapi::setup_submit_all | uapi::setup_coop_taskrun |
    uapi::setup_taskrun_flag | uapi::setup_single_issuer | uapi::setup_defer_taskrun | uapi::setup_r_disabled;

constexpr std::uint32_t known_enter_flags =
    uapi::enter_getevents | uapi::enter_ext_arg | uapi::enter_no_iowait;

/// Decides the sizes as the kernel does. Returns 0 or -EINVAL.
int settle_sizes(RingParams& params) noexcept {
  const bool clamps = (params.flags & uapi::setup_clamp) != 0;
  if (params.sq_entries == 0 || (params.sq_entries > most_sq_entries && !clamps)) return -EINVAL;
  params.sq_entries = std::bit_ceil(std::min(params.sq_entries, most_sq_entries));
  if ((params.flags & uapi::setup_cqsize) == 0) {
    params.cq_entries = 2 * params.sq_entries;
    return 0;
  }
  if (params.cq_entries == 0 || (params.cq_entries > most_cq_entries && !clamps)) return -EINVAL;
  params.cq_entries = std::bit_ceil(std::min(params.cq_entries, most_cq_entries));
  return params.cq_entries < params.sq_entries ? -EINVAL : 0;
}

}  // namespace

int SoftwareRing::open(RingParams& params) noexcept {
  constexpr std::uint32_t needs_one_issuer = uapi::setup_defer_taskrun;
  if ((params.flags & ~known_flags) != 0) return -EINVAL;
  if ((params.flags & needs_one_issuer) != 0 && (params.flags & uapi::setup_single_issuer) == 0)
    return -EINVAL;
  if (const int error = settle_sizes(params); error < 0) return error;
  sqes_.reset(new (std::nothrow) Sqe[params.sq_entries]());
  sq_array_.reset(new (std::nothrow) std::uint32_t[params.sq_entries]());
  if (sqes_ == nullptr || sq_array_ == nullptr) return -ENOMEM;
  if (const int error = interpreter_.open(params.cq_entries, &sq_flags_); error < 0) return error;
  CompletionQueue& completions = interpreter_.completions();
  memory_ = {.sq_head = &sq_head_,
             .sq_tail = &sq_tail_,
             .sq_flags = &sq_flags_,
             .sq_array = sq_array_.get(),
             .sqes = sqes_.get(),
             .sq_entries = params.sq_entries,
             .cq_head = completions.head(),
             .cq_tail = completions.tail(),
             .cqes = completions.cqes(),
             .cq_entries = params.cq_entries};
  params.features = uapi::feature_ext_arg;
  // Nobody tells the ring that a descriptor is ready, so an enter is always worth while.
  sq_flags_ = uapi::sq_taskrun;
  submits_all_ = (params.flags & uapi::setup_submit_all) != 0;
  is_disabled_ = (params.flags & uapi::setup_r_disabled) != 0;
  return 0;
}

bool SoftwareRing::may_enter() const noexcept {
  return owner_ == std::this_thread::get_id() && generation_ == process_generation();
}

int SoftwareRing::submit(unsigned most) noexcept {
  const std::uint32_t filled = std::atomic_ref(sq_tail_).load(std::memory_order_acquire) - sq_head_;
  const std::uint32_t count = std::min(most, filled);
  if (!interpreter_.prepare(count)) return -EAGAIN;
  std::uint32_t taken = 0;
  for (bool goes_on = true; goes_on && taken < count;) {
    const std::uint32_t index = sq_array_[sq_head_ & (memory_.sq_entries - 1)];
    std::atomic_ref(sq_head_).store(sq_head_ + 1, std::memory_order_release);
    ++taken;
    if (index >= memory_.sq_entries) continue;
    if (interpreter_.is_plain(sqes_[index])) {
      interpreter_.take_plain(sqes_[index]);
    } else {
      goes_on = interpreter_.take(sqes_[index]) || submits_all_;
    }
  }
  interpreter_.end_batch();
  CORERING_DEBUG_ASSERT(taken <= memory_.sq_entries, "an SQ holds no more than its entries");
  return static_cast<int>(taken);
}

namespace {

bool has_limit(unsigned flags, const uapi::GetEventsArg* arg) noexcept {
  return (flags & uapi::enter_ext_arg) != 0 && arg != nullptr && arg->timespec != 0;
}

Duration limit_of(const uapi::Timespec& time) noexcept {
  const auto most = std::chrono::duration_cast<std::chrono::seconds>(Duration::max()).count() / 2;
  return std::chrono::seconds(std::min<std::int64_t>(time.seconds, most)) +
         std::chrono::nanoseconds(std::min<std::int64_t>(time.nanoseconds, 1'000'000'000));
}

}  // namespace

int SoftwareRing::enter(unsigned to_submit, unsigned min_complete, unsigned flags,
                        const uapi::GetEventsArg* arg) noexcept {
  if ((flags & ~known_enter_flags) != 0) return -EINVAL;
  if (!may_enter()) return -EEXIST;
  if (is_disabled_) return -EBADFD;
  const int submitted = to_submit == 0 ? 0 : submit(to_submit);
  if (submitted == -EAGAIN) (void)interpreter_.gather(0, Duration::zero());  // what ends gives memory back
  if ((flags & uapi::enter_getevents) == 0 || submitted < static_cast<int>(to_submit)) return submitted;
  std::optional<Duration> limit;
  if (has_limit(flags, arg)) limit = limit_of(*reinterpret_cast<const uapi::Timespec*>(arg->timespec));
  if (limit && *limit < Duration::zero()) return submitted > 0 ? submitted : -EINVAL;
  const int waited = interpreter_.gather(min_complete, limit);
  return submitted > 0 ? submitted : waited;
}

int SoftwareRing::register_resource(unsigned opcode, void* arg, unsigned count) noexcept {
  if (!may_enter()) return -EEXIST;
  RestrictionList& restrictions = interpreter_.restrictions();
  if (!restrictions.allow_registration(opcode)) return -EACCES;
  const bool is_set_up = opcode == uapi::register_restrictions || opcode == uapi::register_enable_rings;
  if (!is_set_up) return interpreter_.register_resource(opcode, arg, count);
  if (!is_disabled_) return -EBADFD;
  if (opcode == uapi::register_restrictions)
    return restrictions.give({static_cast<const uapi::Restriction*>(arg), count});
  restrictions.enable();
  is_disabled_ = false;
  return 0;
}

}  // namespace corering::emulation
