/// faulty_kernel.hpp — the real kernel, with a seam in front that counts, and refuses things on purpose.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <corering/emulation/emulated_kernel.hpp>

namespace corering::test {

/// Forwards to the real kernel unless a hook answers instead. A hook returns a negative errno to refuse, or
/// 0 to pass on the call.
class FaultyKernel : public Kernel {
 public:
  std::function<int(const RingParams&)> on_open_ring;
  std::function<int()> on_open_eventfd;
  std::function<int(unsigned to_submit)> on_enter;
  /// Answers instead of the kernel, in the same way as Kernel::read_now().
  std::function<std::int32_t(int fd, void* into, std::size_t size, std::int64_t offset)> on_read_now;
  std::atomic<int> wakes = 0;               ///< eventfd writes so far
  std::atomic<Duration::rep> ahead_by = 0;  ///< how far this kernel's clock is ahead, in nanoseconds

  // For kernels with one worker. A worker that sleeps has told so those who post.
  std::atomic<int> sleeps = 0;  ///< how often it went to sleep
  std::atomic<bool> is_asleep = false;
  std::atomic<bool> sleeps_for_ever = false;  ///< the last sleep has no time limit

  void wait_until_asleep() const noexcept {
    while (!is_asleep) std::this_thread::yield();
  }
  /// Waits until it has gone to sleep more than `before` times.
  void wait_for_sleep_after(int before) const noexcept {
    while (sleeps <= before) std::this_thread::yield();
  }

  /// Lets `duration` pass: from now on this kernel's clock is later by that much.
  void pass_time(Duration duration) noexcept { ahead_by += duration.count(); }
  /// From now on time passes with pass_time() only, whatever the machine does. Call it before the worker
  /// starts. Sleeps end at a time of this clock then, as in sleep_until(kernel.now() + 10ms): sleep_for()
  /// counts from the machine's time, which goes on.
  void stop_clock() noexcept { stands_at_ = default_kernel().now(); }

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override {
    if (const int refused = on_open_ring ? on_open_ring(params) : 0; refused < 0) return refused;
    std::unique_ptr<KernelRing> inner;
    const int result = default_kernel().open_ring(params, inner);
    if (result == 0) ring = std::make_unique<FaultyRing>(*this, std::move(inner));
    return result;
  }
  int open_eventfd() noexcept override {
    if (const int refused = on_open_eventfd ? on_open_eventfd() : 0; refused < 0) return refused;
    return default_kernel().open_eventfd();
  }
  int wake(int eventfd) noexcept override {
    ++wakes;
    return default_kernel().wake(eventfd);
  }
  void nap(Duration how_long) noexcept override { default_kernel().nap(how_long); }
  void close(int fd) noexcept override { default_kernel().close(fd); }
  std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept override {
    return on_read_now ? on_read_now(fd, into, size, offset)
                       : default_kernel().read_now(fd, into, size, offset);
  }
  TimePoint now() const noexcept override {
    return stands_at_.value_or(default_kernel().now()) + Duration(ahead_by);
  }

 private:
  std::optional<TimePoint> stands_at_;

  class FaultyRing final : public KernelRing {
   public:
    FaultyRing(FaultyKernel& kernel, std::unique_ptr<KernelRing> inner) noexcept
        : kernel_(kernel), inner_(std::move(inner)) {}
    const RingMemory& memory() const noexcept override { return inner_->memory(); }
    int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
              const uapi::GetEventsArg* arg) noexcept override {
      const int refused = kernel_.on_enter ? kernel_.on_enter(to_submit) : 0;
      if (refused < 0) return refused;
      if (min_complete > 0) {
        kernel_.sleeps_for_ever = arg == nullptr;
        kernel_.is_asleep = true;
        ++kernel_.sleeps;
      }
      const int result = inner_->enter(to_submit, min_complete, flags, arg);
      kernel_.is_asleep = false;
      return result;
    }
    int descriptor() const noexcept override { return inner_->descriptor(); }
    std::optional<Duration> until_due() const noexcept override { return inner_->until_due(); }
    int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override {
      return inner_->register_resource(opcode, arg, count);
    }

   private:
    FaultyKernel& kernel_;
    std::unique_ptr<KernelRing> inner_;
  };
};

}  // namespace corering::test
