/// completion.hpp — the Wait for one answer of the kernel.
#pragma once

#include <coroutine>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include <corering/engine/loop_front.hpp>
#include <corering/engine/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/abi.hpp>

namespace corering {

/// What the kernel says in one CQE.
struct Reply {
  std::int32_t res = 0;     ///< a result, or -errno
  std::uint32_t flags = 0;  ///< abi::cqe_*
  /// Where in its buffer a piece begins. It is noted when the reply is filed, because it depends on the order
  /// of the CQEs.
  std::uint32_t offset = 0;

  /// Returns true if no other CQE of the same request will follow.
  [[nodiscard]] bool is_last() const noexcept { return (flags & abi::cqe_more) == 0; }
};

/// The wait for one operation. It lies in the frame of the coroutine that waits. While it waits, the kernel
/// knows its address. So it never moves, and destroying it then ends the program: the frame of an operation
/// in flight must not go away.
///
/// Only the operation's own answer ends the wait, whatever it is.
/// cancelled: asks the kernel, and asks again every few milliseconds until that answer is there
class Completion : public Wait {
 public:
  /// Is made for `request`, which it does not keep.
  explicit Completion(const Request& request, bool gets_many = false) noexcept
      : head_(request.head), fd_(request.fd), tag_(gets_many ? many_tag : 0) {}
  ~Completion() override {
    if (state_ != State::idle) [[unlikely]]
      abort_destroyed_in_flight();
  }

  [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>(head_ & 0xff); }
  /// Returns true if it is about this descriptor, and not about a slot of a FileTable.
  [[nodiscard]] bool is_on(int fd) const noexcept { return fd_ == fd && !is_on_slot(); }

  /// What names it in the SQE and the CQE: its address, and whether it gets many replies, so that the loop
  /// knows this without touching its memory.
  [[nodiscard]] std::uint64_t user_data() const noexcept {
    return reinterpret_cast<std::uintptr_t>(this) + tag_;
  }
  /// This is in the low three bits, which the loop also uses for its own requests.
  static constexpr std::uint8_t many_tag = 3;

  /// On a worker: hands over several requests that are linked (IOSQE_IO_LINK) as one. There may be at most
  /// here::sq_entries(). None of them registers in the scope: the Wait for the whole chain does.
  static void begin_chain(std::span<Completion* const> links, PromiseBase* promise) noexcept;

  Wait* cancel(const CancelCause& cause) noexcept final;
  void describe(std::string& text) const final;

 protected:
  /// On a worker: hands the request to the kernel, and lets `waiter` be resumed with the answer. `promise` is
  /// the waiter's, or null. In a cancelled scope the answer is ECANCELED, and the kernel is not asked.
  /// resumes: same worker · keep alive: the request, until the kernel has it
  void begin(std::coroutine_handle<> waiter, PromiseBase* promise, const Request& request) noexcept;

  /// The same in two steps, for a coroutine of the library that suspends right away: first the request, then
  /// the coroutine that waits.
  /// no memory: the answer is ENOMEM
  [[gnu::always_inline]] void begin(PromiseBase& promise, const Request& request) noexcept {
    promise_ = &promise;
    LoopFront& here = here::front();
    if (here.may_begin_in(promise.scope)) [[likely]] {
      request.fill(here.begin(*this, *promise.scope), user_data());
      state_ = State::in_flight;
    } else {
      const Request in_memory = request;  // a copy, so that on the usual way the request is not in memory
      begin_slowly(in_memory);
    }
  }
  void begun(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    if (state_ != State::in_flight) [[unlikely]]
      begun_slowly();
  }

  /// Copies a read from the page cache if all of it is there. Returns true if it did: that is the answer, and
  /// nothing suspends.
  [[nodiscard]] bool read_now(const PromiseBase& promise, const Request& request) noexcept;
  [[nodiscard]] bool is_answered() const noexcept { return state_ == State::answered; }

  /// Returns the kernel's answer, and ends the wait.
  Reply finish() noexcept {
    end_wait();
    if (trace::enabled()) [[unlikely]]
      record_resumed();
    // This comes last, so that the compiler still knows the state in the destructor, which then has nothing
    // to do.
    state_ = State::idle;
    assume_unlinked();
    return reply_;
  }

  /// On a worker: hands the request over, outside of every scope. A stopping worker refuses it unless the
  /// scope `permitting`, which may be null, allows it.
  void begin_unscoped(const Scope* permitting, const Request& request) noexcept;

  /// For begin_chain(): the coroutine to resume with the answer, and the request to hand over.
  void prepare(std::coroutine_handle<> waiter, const Request& request) noexcept {
    waiter_ = waiter;
    kept_ = &request;
  }

  /// For completions that get many replies: takes one of the kernel's replies, on the worker, while the CQ is
  /// being walked. After the last reply the kernel no longer knows the completion, and nobody else touches
  /// it.
  virtual void received(const Reply&) noexcept {}

  [[nodiscard]] bool is_idle() const noexcept { return state_ == State::idle; }
  void become_idle() noexcept { state_ = State::idle; }
  void resume_with(const Reply& reply) noexcept;
  void note_reply(const Reply& reply) noexcept { reply_ = reply; }
  [[nodiscard]] const Reply& reply() const noexcept { return reply_; }

  /// What a negative `res` means: the kernel's errno or, if a cancellation ended the operation, why the scope
  /// was cancelled.
  [[nodiscard, gnu::pure]] std::error_code error_of(std::int32_t res) const noexcept;

 private:
  friend class Loop;

  enum class State : std::uint8_t {
    idle,        ///< not started, or the answer has been taken
    unrecorded,  ///< handed over a moment ago; becomes in_flight when that is in the trace
    parked,      ///< waits for a free SQE; in the loop's list
    in_flight,   ///< it belongs to the kernel
    orphaned,    ///< the same, but in no scope; in the loop's list
    cancelling,  ///< the kernel has been asked to cancel it; in the loop's list
    answered,    ///< ready to be resumed
  };

  [[noreturn]] void abort_destroyed_in_flight() const noexcept;
  void begin_slowly(const Request& request) noexcept;
  void begun_slowly() noexcept;
  void record_begun() noexcept;
  void note_what_is_kept() noexcept {
    head_ = kept_->head;
    fd_ = kept_->fd;
  }
  void drop_kept() noexcept;
  void record_filled(std::uint64_t stamp, const Sqe& sqe) const noexcept;
  void record_resumed() const noexcept;

  [[nodiscard]] bool is_on_slot() const noexcept { return (head_ >> 8 & abi::sqe_fixed_file) != 0; }

  std::coroutine_handle<> waiter_;
  union {
    const Request* kept_ = nullptr;  ///< until the kernel has the request
    Reply reply_;                    ///< from then on
  };
  std::uint32_t head_;  ///< Request::head, and fd, for descriptions
  std::int32_t fd_;
  // These lie together, so that one store clears them all.
  State state_ = State::idle;
  const std::uint8_t tag_;
  std::uint16_t links_behind_ : 15 = 0;  ///< how many links of its chain follow it
  std::uint16_t owns_kept_ : 1 = 0;      ///< kept_ is a copy, in memory of the frame cache
};

/// For a request whose last CQE only says that the kernel no longer uses the buffer: a zero-copy send.
class NotifiedCompletion : public Completion {
 protected:
  explicit NotifiedCompletion(const Request& request) noexcept : Completion(request, true) {}

 private:
  void received(const Reply& reply) noexcept final;
};

}  // namespace corering
