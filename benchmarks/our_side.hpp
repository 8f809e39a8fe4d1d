/// our_side.hpp — what the workloads of corering share.
#pragma once

#include <cstdint>
#include <system_error>
#include <vector>

#include <corering/corering.hpp>

namespace bench {

inline double checked(std::int64_t nanoseconds) {
  if (nanoseconds < 0) throw std::system_error(static_cast<int>(-nanoseconds), std::system_category());
  return static_cast<double>(nanoseconds);
}

template <class T>
void check(const corering::Result<T>& result) {
  if (!result) throw std::system_error(result.error());
}

inline double since(corering::TimePoint begin) {
  return static_cast<double>((corering::Clock::now() - begin).count());
}

/// While it lives, workers that name no kernel run on the emulated one.
class OnEmulatedKernel {
 public:
  OnEmulatedKernel() noexcept { corering::prefer_kernel(corering::KernelChoice::emulated); }
  OnEmulatedKernel(OnEmulatedKernel&&) = delete;
  ~OnEmulatedKernel() { corering::prefer_kernel(corering::KernelChoice::io_uring); }
};

/// The same measurement on the emulated kernel.
template <class Measure>
[[nodiscard]] auto emulated(Measure measure) {
  return [measure](std::uint64_t count) {
    const OnEmulatedKernel here;
    return measure(count);
  };
}

/// Runs one coroutine that measures itself, on a worker of this thread.
template <class Coroutine>
double measure_one(Coroutine&& coroutine) {
  double elapsed = 0;
  corering::Worker worker;
  const auto run = [](auto& make, double& into) -> corering::Task<void> {
    co_await make(into);
    corering::Worker::current()->request_stop();
  };
  check(worker.run([&](corering::Worker&) { corering::spawn(run(coroutine, elapsed)).detach(); }));
  return elapsed;
}

/// Starts `depth` tasks that `make` makes. Returns the time from the first spawn to the last join.
template <class Make>
corering::Task<void> run_side_by_side(unsigned depth, const Make& make, double& elapsed) {
  const corering::TimePoint begin = corering::Clock::now();
  std::vector<corering::JoinHandle<void>> running;
  running.reserve(depth);
  for (unsigned i = 0; i < depth; ++i) running.push_back(corering::spawn(make(i)));
  for (auto& one : running) co_await std::move(one);
  elapsed = since(begin);
}

/// Measures `depth` tasks that do `operations` nops together.
[[nodiscard]] double our_nop(unsigned depth, std::uint64_t operations);

}  // namespace bench
