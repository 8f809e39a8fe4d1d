/// probes.cpp — one probe for each kind of event. All have the same semaphore, which is one load to ask.
#include "trace/probes.hpp"

#if defined(CORERING_PROBES)
#include <algorithm>
#include <array>
#include <string_view>

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

// clang-format off
#define CORERING_EVERY_KIND(X) \
  X(none) X(sync_wait_begin) X(sync_wait_end) X(root_done) X(await) X(pushed) X(wake_written) \
  X(wake_elided) X(suspended) X(popped) X(resumed_on_worker) X(parked) X(sqe_filled) X(submitted) \
  X(entered) X(woken) X(processed) X(resumed) X(thread_start) X(worker_up) X(init_callback) X(spawned) \
  X(timer_armed) X(timer_fired) X(read_now) X(emulation_took) X(emulation_waits) X(emulation_lent) \
  X(emulation_posted) X(wait_begins) X(wait_ends) X(cancel_asked) X(cq_overflowed) X(stopping) \
  X(kernel_began) X(kernel_waits) X(kernel_lent) X(kernel_ready) X(kernel_ended) X(kernel_overflow) \
  X(cpu_off) X(cpu_on) X(cpu_used) X(kept) X(gap) X(remark) X(joins)
// clang-format on

extern "C" {
[[gnu::section(".probes"), gnu::used]] volatile std::uint16_t corering_looked_at = 0;
// The names that sys/sdt.h gives to the probes' semaphores.
#define CORERING_SEMAPHORE(kind)                 \
  [[gnu::alias("corering_looked_at"), gnu::used, \
    gnu::visibility("hidden")]] extern volatile std::uint16_t corering_##kind##_semaphore;
CORERING_EVERY_KIND(CORERING_SEMAPHORE)
#undef CORERING_SEMAPHORE
}

namespace corering::trace {
namespace {

#define CORERING_NAME(kind) std::string_view(#kind),
constexpr std::array names = {CORERING_EVERY_KIND(CORERING_NAME)};
#undef CORERING_NAME
static_assert(std::ranges::equal(names, kind_names), "each kind of event has its probe");

}  // namespace

#define CORERING_PROBE(kind)                         \
  case Kind::kind:                                   \
    DTRACE_PROBE4(corering, kind, opcode, id, a, b); \
    return;
void pass_probe(Kind kind, std::uint8_t opcode, std::uint64_t id, std::uint64_t a, std::uint64_t b) noexcept {
  switch (kind) {
    CORERING_EVERY_KIND(CORERING_PROBE)
    case Kind::count_:
      return;
  }
}
#undef CORERING_PROBE

}  // namespace corering::trace
#endif
