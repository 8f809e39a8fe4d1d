/// completion.hpp — the Wait for one answer of the kernel.
#pragma once

#include <coroutine>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include <corering/engine/descriptor_use.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/uapi.hpp>

namespace corering {

/// What the kernel says in one CQE.
struct Reply {
  std::int32_t res = 0;     ///< a result, or -errno
  std::uint32_t flags = 0;  ///< uapi::cqe_*
  /// Where in its buffer a piece begins. It is noted when the reply is filed, because it depends on the order
  /// of the CQEs.
  std::uint32_t offset = 0;

  /// Returns true if no other CQE of the same request will follow.
  [[nodiscard]] bool is_last() const noexcept { return (flags & uapi::cqe_more) == 0; }
};

/// The wait for one operation. It lies in the frame of the coroutine that waits. While it waits, the kernel
/// knows its address. So it never moves, and destroying it then ends the program: the frame of an operation
/// in flight must not go away.
///
/// Only the operation's own last answer ends the wait, whatever it is. What the kernel says is input: a CQE
/// with F_MORE is never taken for the last one, whatever the opcode. Such a reply counts as a part of the
/// answer. cancelled: asks the kernel, once at a time. If the kernel has missed the operation, it is asked
/// again a few
///   milliseconds later, until that answer is there (engine/cancel_protocol.hpp)
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
  /// `gets_many` is what the constructor was told; said again it is a constant here, and the tag need not be
  /// read.
  [[gnu::always_inline]] void begin(PromiseBase& promise, const Request& request, bool gets_many) noexcept {
    promise_ = &promise;
    LoopFront& here = here::front();
    if (here.may_begin_in(promise.scope)) [[likely]] {
      CORERING_DEBUG_ASSERT(gets_many == (tag_ != 0), "an operation says once how many answers it gets");
      here.count_begun(request);
      request.fill(here.begin(*this, *promise.scope),
                   reinterpret_cast<std::uintptr_t>(this) + (gets_many ? many_tag : 0U));
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
    if (trace::counts()) [[unlikely]]
      observe_resumed();
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

  /// For an operation that no cancel ends: fills an SQE that makes the kernel end it by force. The loop asks
  /// for this when the kernel has said for a while that it cannot cancel the operation. Returns false if
  /// there is no such way.
  [[nodiscard]] virtual bool fill_forced_end(Sqe&) const noexcept { return false; }
  /// Returns true if it has its result, and its last answer depends on a peer, whatever the kernel cancels.
  [[nodiscard]] virtual bool waits_for_its_peer() const noexcept { return false; }

  /// The descriptor that the request is about, or the slot of a FileTable.
  [[nodiscard]] std::int32_t descriptor() const noexcept { return fd_; }
  [[nodiscard]] bool is_on_slot() const noexcept { return (head_ >> 8 & uapi::sqe_fixed_file) != 0; }

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
  friend class Cancels;

  /// The values of those that belong to the kernel are rare in memory, so that a CQE that names no operation
  /// is noticed (Loop::file_rare).
  enum class State : std::uint8_t {
    idle = 0,           ///< not started, or the answer has been taken
    unrecorded = 1,     ///< handed over a moment ago; becomes in_flight when that is in the trace
    parked = 2,         ///< waits for a free SQE; in the loop's list
    answered = 3,       ///< ready to be resumed
    in_flight = 0xa5,   ///< it belongs to the kernel
    in_parts = 0xa6,    ///< the same, and the kernel has answered a part of it
    orphaned = 0xa7,    ///< the same as in_flight, but in no scope; in the loop's list
    cancelling = 0xa9,  ///< the kernel is to cancel it, or has been asked to; in a list of Cancels
  };
  [[nodiscard]] bool is_with_kernel() const noexcept { return state_ >= State::in_flight; }

  [[noreturn]] void abort_destroyed_in_flight() const noexcept;
  void begin_slowly(const Request& request) noexcept;
  void begun_slowly() noexcept;
  void record_await() const noexcept;
  void record_begun() noexcept;
  void note_what_is_kept() noexcept {
    head_ = kept_->head;
    fd_ = kept_->fd;
  }
  void drop_kept() noexcept;
  void lose_descriptor(int fd) noexcept;
  void record_filled(std::uint64_t stamp, const Sqe& sqe) const noexcept;
  void observe_resumed() noexcept;
  /// While times are kept: notes when its answer was taken, to 128 ticks, for half a minute.
  void note_reaped(std::uint64_t stamp) noexcept {
    const std::uint64_t units = stamp / ticks_per_unit | 1;
    cancel_number_ = static_cast<std::uint16_t>(units);
    cancels_missed_ = static_cast<std::uint16_t>(units >> 16);
  }
  [[nodiscard]] bool has_noted_reaped() const noexcept { return cancel_number_ != 0; }
  /// Returns how many ticks ago that was.
  [[nodiscard]] std::uint64_t since_reaped(std::uint64_t now) const noexcept {
    const std::uint32_t units = static_cast<std::uint32_t>(cancels_missed_) << 16 | cancel_number_;
    return ticks_per_unit * (static_cast<std::uint32_t>(now / ticks_per_unit | 1) - units);
  }
  static constexpr std::uint64_t ticks_per_unit = 64;

  void add_part(const Cqe& cqe) noexcept;
  [[nodiscard]] Reply with_parts(const Reply& last) const noexcept;

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
  std::uint16_t links_behind_ : 14 = 0;  ///< how many links of its chain follow it
  std::uint16_t has_part_ : 1 = 0;       ///< reply_ is a part of the answer
  std::uint16_t owns_kept_ : 1 = 0;      ///< kept_ is a copy, in memory of the frame cache
  // While it is cancelled; afterwards see note_reaped().
  std::uint16_t cancel_number_ = 0;   ///< of the request to cancel it, or Cancels::none
  std::uint16_t cancels_missed_ = 0;  ///< how often the kernel has not found it
};

/// For a request whose last CQE only says that the kernel no longer uses the buffer: a zero-copy send.
///
/// When it is cancelled and the bytes are already in the socket, only the peer can end it, by taking them. A
/// peer that does not read would hold it for ever. So after a while the connection is given up: it is
/// disconnected, and the kernel drops the bytes.
class NotifiedCompletion : public Completion, private DescriptorUse {
 protected:
  explicit NotifiedCompletion(const Request& request) noexcept;

 private:
  void received(const Reply& reply) noexcept final;
  [[nodiscard]] bool fill_forced_end(Sqe& sqe) const noexcept final;
  [[nodiscard]] bool waits_for_its_peer() const noexcept final { return has_result_ && is_zero_copy(); }
  bool end_use_of(int fd) noexcept final;
  void lose(int fd) noexcept final;
  [[nodiscard]] bool is_zero_copy() const noexcept;
  std::uint32_t closes_before_ = 0;
  bool has_result_ = false;
  bool has_descriptor_ = true;  // otherwise the number may be somebody else's
};

}  // namespace corering
