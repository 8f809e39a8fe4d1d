/// completion.hpp — the resource that waits for one answer of the kernel.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <system_error>

#include <corering/core/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/abi.hpp>

namespace corering {

/// Lives in the frame of the coroutine that waits. While it waits the kernel knows its address, so it never
/// moves, and destroying it then ends the program: the frame of an operation in flight must not go away.
///
/// Cancelling asks the kernel, and asks again every few milliseconds until the operation's own answer is
/// there. Only that answer ends the wait, whatever it is.
class Completion : public Waiter {
 public:
  explicit Completion(const Request& request) noexcept : request_(request) {}
  ~Completion() override {
    if (state_ != State::idle) [[unlikely]]
      abort_destroyed_in_flight();
  }

  [[nodiscard]] Opcode opcode() const noexcept { return request_.opcode(); }
  [[nodiscard]] const Request& request() const noexcept { return request_; }

  Waiter* cancel(const CancelCause& cause) noexcept final;
  void describe(std::string& text) const final;

 protected:
  /// On a worker: hands the request to the kernel and lets `waiter` be resumed with the answer, on the same
  /// worker. `frame` is the waiter's, or null. In a cancelled scope the answer is ECANCELED, without the
  /// kernel.
  void start(std::coroutine_handle<> waiter, Frame* frame) noexcept;

  /// The kernel's answer; marks the wait as over.
  std::int32_t finish() noexcept {
    state_ = State::idle;
    end_wait();
    if (trace::enabled()) [[unlikely]]
      record_resumed();
    return res_;
  }

  /// What a negative `res` means: the kernel's errno, or why the scope was cancelled if that is what ended
  /// the operation.
  [[nodiscard]] std::error_code error_of(std::int32_t res) const noexcept;

 private:
  friend class Loop;

  enum class State : std::uint8_t {
    idle,        ///< not started, or the answer has been taken
    parked,      ///< waits for a free SQE; in the loop's list
    in_flight,   ///< the kernel's (or in the list of those that no scope looks after)
    cancelling,  ///< the kernel has been asked to cancel it; in the loop's list
    answered,    ///< ready to be resumed
  };

  [[noreturn]] void abort_destroyed_in_flight() const noexcept;
  void start_recorded(Loop& loop, Frame* frame) noexcept;
  void record_resumed() const noexcept;

  Request request_;
  std::coroutine_handle<> waiter_;
  std::int32_t res_ = 0;
  State state_ = State::idle;
};

}  // namespace corering
