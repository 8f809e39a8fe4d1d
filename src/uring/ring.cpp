/// ring.cpp — opening a ring on whatever kernel is there.
#include <array>
#include <bit>
#include <cerrno>

#include <corering/uring/ring.hpp>
#include <corering/uring/setup_error.hpp>

#include "uring/restrictions.hpp"

namespace corering {
namespace {

constexpr std::uint32_t since_5_18 = uapi::setup_submit_all | uapi::setup_clamp;
constexpr std::uint32_t since_5_19 = since_5_18 | uapi::setup_coop_taskrun | uapi::setup_taskrun_flag;
constexpr std::uint32_t since_6_0 = since_5_19 | uapi::setup_single_issuer;
constexpr std::uint32_t since_6_1 = since_5_18 | uapi::setup_single_issuer | uapi::setup_defer_taskrun |
                                    uapi::setup_taskrun_flag;  // DEFER_TASKRUN needs SINGLE_ISSUER

// Best first; each gives up the newest thing of the one before. CLAMP has been there since 5.6.
constexpr std::array setup_attempts = {since_6_1, since_6_0, since_5_19, since_5_18, uapi::setup_clamp};

// With DEFER_TASKRUN, who polls the descriptor is not woken when a request ends (since 6.3). The way around
// it, a registered eventfd, loses wakes (6.18): all but the first that come while another eventfd is written.
constexpr std::uint32_t flags_that_hide = uapi::setup_defer_taskrun;

int try_each_setup(Kernel& kernel, RingParams wanted, Ring::Watched watched, RingParams& got,
                   std::unique_ptr<KernelRing>& ring) {
  int result = -EINVAL;
  for (const std::uint32_t flags : setup_attempts) {
    if (watched == Ring::Watched::from_outside && (flags & flags_that_hide) != 0) continue;
    got = wanted;
    got.flags = flags | wanted.flags | (wanted.cq_entries > 0 ? uapi::setup_cqsize : 0);
    result = kernel.open_ring(got, ring);
    if (result != -EINVAL) break;  // another errno will not go away by asking for less
  }
  return result;
}

}  // namespace

Result<void> Ring::open(Kernel& kernel, std::uint32_t sq_entries, std::uint32_t cq_entries, Watched watched,
                        std::span<const Opcode> allowed) {
  const RingParams wanted{.sq_entries = sq_entries,
                          .cq_entries = cq_entries,
                          .flags = allowed.empty() ? 0 : uapi::setup_r_disabled};
  if (const int result = try_each_setup(kernel, wanted, watched, params_, ring_); result < 0) {
    return std::unexpected(setup_error(SetupStep::ring, -result));
  }
  if ((params_.features & uapi::feature_ext_arg) == 0) {  // 5.11: waits with a timeout
    ring_.reset();
    return std::unexpected(setup_error(SetupStep::ring, ENOSYS));
  }
  if (!allowed.empty()) {
    if (const int result = restrict_and_enable(*ring_, allowed); result < 0) {
      ring_.reset();
      return std::unexpected(setup_error(SetupStep::restrictions, -result));
    }
  }
  memory_ = ring_->memory();
  CORERING_ASSERT(std::has_single_bit(memory_.sq_entries) && std::has_single_bit(memory_.cq_entries),
                  "the sizes of a ring are powers of two");
  sq_.sqes_ = memory_.sqes;
  sq_.tail_ = load(memory_.sq_head, std::memory_order_relaxed);
  sq_.set_full_at(sq_.tail_ + memory_.sq_entries);
  sq_.mask_ = memory_.sq_entries - 1;
  for (std::uint32_t i = 0; i < memory_.sq_entries; ++i) memory_.sq_array[i] = i;
  wait_flags_ = uapi::enter_getevents;
  // An idle ring should not show as 100 % iowait.
  if ((params_.features & uapi::feature_no_iowait) != 0) wait_flags_ |= uapi::enter_no_iowait;
  return {};
}

}  // namespace corering
