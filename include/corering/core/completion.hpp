/// completion.hpp — the resource that waits for one answer of the kernel.
#pragma once

#include <coroutine>
#include <cstdint>
#include <source_location>

#include <corering/trace/recorder.hpp>
#include <corering/uring/abi.hpp>

namespace corering {

/// Lives in the frame of the coroutine that waits. While it waits the kernel knows its address, so it never
/// moves, and destroying it then ends the program: the frame of an operation in flight must not go away.
class Completion {
 public:
  Completion(const Request& request, std::source_location where) noexcept
      : request_(request), where_(where) {}
  Completion(Completion&&) = delete;
  ~Completion() {
    if (waiting_) [[unlikely]]
      abort_destroyed_in_flight();
  }

  [[nodiscard]] Opcode opcode() const noexcept { return request_.opcode(); }
  [[nodiscard]] const Request& request() const noexcept { return request_; }

 protected:
  /// On a worker: hands the request to the kernel and lets `waiter` be resumed with the answer, on the same
  /// worker.
  void start(std::coroutine_handle<> waiter) noexcept;

  /// The kernel's answer; marks the wait as over.
  std::int32_t finish() noexcept {
    waiting_ = false;
    if (trace::enabled()) [[unlikely]]
      record_resumed();
    return res_;
  }

 private:
  friend class Loop;
  [[noreturn]] void abort_destroyed_in_flight() const noexcept;
  void start_recorded(class Loop& loop) noexcept;
  void record_resumed() const noexcept;

  Request request_;
  std::coroutine_handle<> waiter_;
  std::int32_t res_ = 0;
  bool waiting_ = false;
  std::source_location where_;
  Completion* next_parked_ = nullptr;
};

}  // namespace corering
