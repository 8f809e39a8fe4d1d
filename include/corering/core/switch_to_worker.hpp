/// switch_to_worker.hpp — how a coroutine moves to a worker.
#pragma once

#include <coroutine>
#include <source_location>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/core/engine.hpp>

namespace corering {

/// `co_await SwitchToWorker(worker)`: the coroutine suspends here and goes on on the worker's thread, through
/// its MPSC queue; the eventfd is written only if the worker is asleep. Already there, it does not suspend.
/// ECANCELED when the worker is stopping or has ended: the coroutine goes on where it is (or, if the worker
/// is destroyed without having run, on the thread that destroys it). The worker object must outlive the hop.
class [[nodiscard]] SwitchToWorker {
 public:
  explicit SwitchToWorker(Worker& worker,
                          std::source_location where = std::source_location::current()) noexcept
      : worker_(worker), where_(where) {}
  SwitchToWorker(SwitchToWorker&&) = delete;
  ~SwitchToWorker() { CORERING_ASSERT(!waiting_, "a coroutine was destroyed while it hopped to a worker"); }

  bool await_ready() const noexcept { return engine::current_worker() == &worker_; }
  bool await_suspend(std::coroutine_handle<> coroutine) noexcept;
  [[nodiscard]] Result<void> await_resume() noexcept;

 private:
  Worker& worker_;
  PostNode node_;
  std::source_location where_;
  bool waiting_ = false;
};

namespace engine {

/// A promise to come back: made on a worker, it keeps that worker from ending until the coroutine has
/// returned to it. Made on a thread without a worker, or for a trip to the worker we are on, it is nothing.
class [[nodiscard]] Homecoming {
 public:
  explicit Homecoming(const Worker& destination) noexcept;
  Homecoming(Homecoming&&) = delete;
  ~Homecoming();

  /// Awaited: resumes on the worker where it was made.
  bool await_ready() const noexcept { return home_ == nullptr || current_worker() == home_; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept;
  void await_resume() noexcept;

 private:
  Worker* home_;
  PostNode node_;
  bool posted_ = false;
};

}  // namespace engine
}  // namespace corering
