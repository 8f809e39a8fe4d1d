/// loop_begin.cpp — how a loop opens its ring, and learns what its kernel can do.
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <climits>
#include <mutex>
#include <optional>

#include <corering/base/fd.hpp>
#include <corering/uring/setup_error.hpp>

#include "engine/loop.hpp"
#include "replay/environment.hpp"

namespace corering {

using namespace detail;

namespace {

// 64 KiB: this is room for what many idle connections may answer at once.
constexpr std::uint32_t usual_cq_entries = 4096;

// The kernel rounds both up to a power of two, and takes less than it was asked for if that is too much.
bool is_possible(std::uint32_t sq_entries, std::uint32_t cq_entries) noexcept {
  constexpr std::uint32_t most = 65536;
  return sq_entries > 0 &&
         std::bit_ceil(std::min(cq_entries, most)) >= std::bit_ceil(std::min(sq_entries, most));
}

bool is_of_this_machine(const Kernel& kernel) noexcept {
  return &kernel == &real_kernel() || &kernel == &emulated_kernel();
}
}  // namespace

Result<void> Loop::attach(Ring::Watched watched) {
  ready_.prepare();
  timers_.prepare();
  if (const Result<void> right = replay::check_environment(); !right) return right;
  const std::uint32_t cq_entries =
      options_.cq_entries > 0 ? options_.cq_entries : std::max(usual_cq_entries, 2 * options_.sq_entries);
  if (!is_possible(options_.sq_entries, cq_entries)) {
    return std::unexpected(setup_error(SetupStep::sizes, EINVAL));
  }
  attached_at_ = trace::moment_now();
  turn_ticks_ = attached_at_.ticks;
  if (const int opened = mailbox_.open(); opened < 0) {
    return std::unexpected(setup_error(SetupStep::eventfd, -opened));
  }
  if (auto opened = ring_.open(kernel_, options_.sq_entries, cq_entries, watched, options_.allowed);
      !opened) {
    mailbox_.close();
    return opened;
  }
  cancels_.limit_to(ring_.cq_entries());
  limit_helpers();
  call_before_close(&here::before_close);
  try {
    if (is_of_this_machine(kernel_)) (void)capabilities();  // now, while there still are descriptors
  } catch (...) {
    ring_.close();
    mailbox_.close();
    throw;
  }
  return {};
}

void Loop::keep_helpers_on(const cpu_set_t& processors) noexcept {
  cpu_set_t set = processors;
  // The size is in bytes. An older kernel (before 5.14) refuses this; then the helper threads stay where they
  // are.
  ring_.register_resource(uapi::register_iowq_aff, &set, sizeof set);
}

// 0 changes nothing. An older kernel (before 5.15) refuses this, and so does the emulated one, which has
// helpers of its own.
void Loop::limit_helpers() noexcept {
  std::array<std::uint32_t, 2> most = {std::min<std::uint32_t>(options_.file_helpers, INT_MAX),
                                       std::min<std::uint32_t>(options_.waiting_helpers, INT_MAX)};
  ring_.register_resource(uapi::register_iowq_max_workers, most.data(), most.size());
}

namespace {

/// The real kernel is the same for every worker, and so is the emulated one. If we cannot find out what it
/// can do because there is no descriptor, that is not remembered.
const Capabilities& capabilities_of_this_machine(Kernel& kernel) {
  static std::mutex mutex;
  static std::array<std::optional<Capabilities>, 2> both;
  static const Capabilities nothing;
  const std::lock_guard lock(mutex);
  std::optional<Capabilities>& found = both[&kernel == &real_kernel() ? 0 : 1];
  if (!found) found = probe(kernel);
  return found ? *found : nothing;
}

}  // namespace

const Capabilities& Loop::capabilities() {
  if (is_of_this_machine(kernel_)) return capabilities_of_this_machine(kernel_);
  if (const Capabilities* const known = kernel_.known_capabilities(); known != nullptr) return *known;
  if (own_capabilities_ == nullptr) {
    own_capabilities_ = std::make_unique<Capabilities>(probe(kernel_).value_or(Capabilities()));
  }
  return *own_capabilities_;
}

}  // namespace corering
