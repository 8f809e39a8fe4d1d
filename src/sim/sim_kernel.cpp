/// sim_kernel.cpp — rings whose enters may fail, and the eventfds of workers.
#include "sim/sim_kernel.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>

#include <corering/base/assert.hpp>
#include <corering/emulation/emulated_kernel.hpp>
#include <corering/uring/capabilities.hpp>

#include "emulation/software_ring.hpp"
#include "sim/calls.hpp"

namespace corering::sim {
namespace {

/// A ring whose enters go wrong as the kernel's can.
class SimRing final : public KernelRing {
 public:
  SimRing(System& system, std::unique_ptr<SimWorld> world) noexcept
      : system_(system), world_(*world), ring_(std::move(world)) {}

  int open(RingParams& params) noexcept { return ring_.open(params); }
  const RingMemory& memory() const noexcept override { return ring_.memory(); }
  int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
            const uapi::GetEventsArg* arg) noexcept override;
  int descriptor() const noexcept override { return ring_.descriptor(); }
  std::optional<Duration> until_due() const noexcept override { return ring_.until_due(); }
  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override {
    return ring_.register_resource(opcode, arg, count);
  }

 private:
  void mislead_cancels(unsigned count) noexcept;

  int enter_ring(unsigned to_submit, unsigned min_complete, unsigned flags,
                 const uapi::GetEventsArg* arg) noexcept {
    const int result = ring_.enter(to_submit, min_complete, flags, arg);
    world_.forget_reported();  // a file that was waited for is not kept open until the next enter
    return result;
  }

  System& system_;
  SimWorld& world_;
  emulation::SoftwareRing ring_;
};

// Whoever waits in the kernel gets what it waits for: only enters that look and hand over go wrong.
int SimRing::enter(unsigned to_submit, unsigned min_complete, unsigned flags,
                   const uapi::GetEventsArg* arg) noexcept {
  if (min_complete > 0) return enter_ring(to_submit, min_complete, flags, arg);
  if (system_.strikes(Fault::eagain_from_enter)) return -EAGAIN;
  if (system_.strikes(Fault::ebusy_from_enter)) return -EBUSY;
  if (system_.strikes(Fault::enomem_from_enter)) return -ENOMEM;
  if ((flags & uapi::enter_getevents) != 0 && to_submit == 0 && system_.strikes(Fault::eintr_from_enter))
    return -EINTR;
  const auto taken = static_cast<unsigned>(system_.cut_short(Fault::partial_submit, to_submit));
  mislead_cancels(taken);
  const int result = enter_ring(taken, min_complete, flags, arg);
  if (taken > 0) system_.count_operations(result);
  return result;
}

// A cancel that misses: it looks for an operation that nobody has. The tags below 8 are the loop's own
// requests, which are asked for once.
void SimRing::mislead_cancels(unsigned count) noexcept {
  const RingMemory& memory = ring_.memory();
  const std::uint32_t head = std::atomic_ref(*memory.sq_head).load(std::memory_order_relaxed);
  for (unsigned i = 0; i < count; ++i) {
    Sqe& sqe = memory.sqes[memory.sq_array[(head + i) & (memory.sq_entries - 1)]];
    const bool is_cancel = sqe.opcode == static_cast<std::uint8_t>(Opcode::async_cancel) && sqe.op_flags == 0;
    if (is_cancel && sqe.addr > 7 && system_.strikes(Fault::cancel_misses)) sqe.addr = ~std::uint64_t{7};
  }
}

// As small as it may be: completions overflow, and operations are parked.
void make_tiny(RingParams& params) noexcept {
  params.sq_entries = std::min(params.sq_entries, 4U);
  if ((params.flags & uapi::setup_cqsize) != 0) params.cq_entries = std::min(params.cq_entries, 8U);
}

}  // namespace

void SimDoorbell::ring_after(std::optional<Duration> delay) noexcept {
  rings_at_.reset();
  if (!delay) return;
  const std::int64_t now = system_.since_begin();
  rings_at_ = delay->count() > INT64_MAX - now ? INT64_MAX : now + std::max<std::int64_t>(delay->count(), 0);
}

int SimKernel::open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept try {
  if (system_.strikes(Fault::tiny_ring)) make_tiny(params);
  auto opened = std::make_unique<SimRing>(system_, std::make_unique<SimWorld>(system_));
  if (const int result = opened->open(params); result < 0) return result;
  ring = std::move(opened);
  return 0;
} catch (const std::bad_alloc&) {
  return -ENOMEM;
}

int SimKernel::open_eventfd() noexcept { return system_.open(std::make_shared<Counter>()); }

void SimKernel::posted() noexcept {
  CORERING_ASSERT(std::this_thread::get_id() == thread_,
                  "another thread posts to a worker of a simulated world, when no seed has decided: use "
                  "World::after()");
}

int SimKernel::wake(int eventfd) noexcept {
  posted();
  const std::shared_ptr<Object>* const object = system_.find(eventfd);
  CORERING_ASSERT(object != nullptr && (*object)->kind == Object::Kind::counter,
                  "a worker's eventfd is open");
  auto& counter = static_cast<Counter&>(**object);
  ++counter.count;
  system_.changed(counter);
  return 0;
}

// What a seed decides is not in the page cache is read by a helper.
std::int32_t SimKernel::read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept {
  const std::shared_ptr<Object>* const object = system_.find(fd);
  const bool is_file = object != nullptr && (*object)->kind == Object::Kind::file;
  if (!is_file || system_.random().one_in(4)) return -EAGAIN;
  emulation::Call call;
  call.sqe = {.opcode = static_cast<std::uint8_t>(Opcode::read),
              .fd = fd,
              .off = static_cast<std::uint64_t>(offset),
              .addr = reinterpret_cast<std::uintptr_t>(into),
              .len = static_cast<std::uint32_t>(size)};
  return attempt_call(system_, *object, call, true).result;
}

// Others may go on meanwhile, but not inside of a worker's turn.
void SimKernel::nap(Duration how_long) noexcept { system_.pass(how_long.count()); }

int SimKernel::open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept {
  auto opened = std::make_unique<SimDoorbell>(system_, ring);
  doorbells_.push_back(opened.get());
  doorbell = std::move(opened);
  return 0;
}

// The interpreter is the same, so what it can do is found out once for all worlds.
const Capabilities* SimKernel::known_capabilities() const noexcept {
  static const Capabilities known = probe(emulated_kernel()).value_or(Capabilities());
  return &known;
}

}  // namespace corering::sim
