/// completion.hpp — the resource that waits for one answer of the kernel.
#pragma once

#include <coroutine>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include <corering/core/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/abi.hpp>

namespace corering {

/// What the kernel says in one CQE.
struct Reply {
  std::int32_t res = 0;     ///< a result, or -errno
  std::uint32_t flags = 0;  ///< abi::cqe_*
  /// Noted when it is filed, because it depends on the order of CQEs: where in its buffer a piece begins.
  std::uint32_t offset = 0;

  /// No other CQE of the same request will follow.
  [[nodiscard]] bool is_last() const noexcept { return (flags & abi::cqe_more) == 0; }
};

/// Lives in the frame of the coroutine that waits. While it waits the kernel knows its address, so it never
/// moves, and destroying it then ends the program: the frame of an operation in flight must not go away.
///
/// Cancelling asks the kernel, and asks again every few milliseconds until the operation's own answer is
/// there. Only that answer ends the wait, whatever it is.
class Completion : public Waiter {
 public:
  explicit Completion(const Request& request) noexcept : request_(request) {}
  Completion(const Request& request, bool gets_many) noexcept : request_(request), gets_many_(gets_many) {}
  ~Completion() override {
    if (state_ != State::idle) [[unlikely]]
      abort_destroyed_in_flight();
  }

  [[nodiscard]] Opcode opcode() const noexcept { return request_.opcode(); }
  [[nodiscard]] const Request& request() const noexcept { return request_; }

  /// On a worker: hands over several requests that are linked (IOSQE_IO_LINK) as one. At most
  /// engine::sq_entries(). None registers in the scope: who waits for them does.
  static void start_chain(std::span<Completion* const> links, Frame* frame) noexcept;

  Waiter* cancel(const CancelCause& cause) noexcept final;
  void describe(std::string& text) const final;

 protected:
  /// On a worker: hands the request to the kernel and lets `waiter` be resumed with the answer, on the same
  /// worker. `frame` is the waiter's, or null. In a cancelled scope the answer is ECANCELED, without the
  /// kernel.
  void start(std::coroutine_handle<> waiter, Frame* frame) noexcept;

  /// The kernel's answer; marks the wait as over.
  Reply finish() noexcept {
    state_ = State::idle;
    end_wait();
    if (trace::enabled()) [[unlikely]]
      record_resumed();
    return reply_;
  }

  /// On a worker: hands the request over, to be waited for in no scope; a stopping worker refuses it unless
  /// `permitting`, which may be null, lets it.
  void start_unscoped(const Scope* permitting) noexcept;

  /// Who is to be resumed with the answer, for start_chain().
  void waiter_is(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }

  /// Those that get many: one of the kernel's replies, on the worker, while the CQ is being walked. After the
  /// last one the kernel knows it no longer, and nobody else touches it.
  virtual void received(const Reply&) noexcept {}

  [[nodiscard]] Request& request() noexcept { return request_; }
  [[nodiscard]] bool is_idle() const noexcept { return state_ == State::idle; }
  [[nodiscard]] bool is_parked() const noexcept { return state_ == State::parked; }
  void become_idle() noexcept { state_ = State::idle; }
  void resume_with(const Reply& reply) noexcept;
  void note_reply(const Reply& reply) noexcept { reply_ = reply; }
  [[nodiscard]] const Reply& reply() const noexcept { return reply_; }

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
  Reply reply_;
  State state_ = State::idle;
  const bool gets_many_ = false;
  std::uint16_t links_behind_ = 0;  ///< how many of its chain follow it
};

/// Of a request whose last CQE only says that the kernel no longer uses the buffer: a zero-copy send.
class NotifiedCompletion : public Completion {
 protected:
  explicit NotifiedCompletion(const Request& request) noexcept : Completion(request, true) {}

 private:
  void received(const Reply& reply) noexcept final;
};

}  // namespace corering
