/// messages.hpp — from ring to ring: a number, or a file. The rows are explained in io/file_calls.hpp.
///
/// The message appears as a CQE in the other worker's ring, without that worker's queue and eventfd. To move
/// a coroutine or an object, use SwitchToWorker or SharedChannel.
#pragma once

#include <cerrno>
#include <cstdint>

#include <corering/base/backlog.hpp>
#include <corering/core/operation.hpp>
#include <corering/engine/queued_wait.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/resources/file_table.hpp>

namespace corering {

/// Says where an inbox is. You may copy it freely, to any thread. You may use it only while the inbox's
/// worker has not ended.
struct InboxAddress {
  int ring = -1;
  std::uint64_t user_data = 0;
};

namespace detail {

class InboxQueue final : public Inbox, public RingResource {
 public:
  InboxQueue();
  InboxQueue(InboxQueue&&) = delete;
  ~InboxQueue();

  class [[nodiscard]] Awaiter final : public QueuedWait {
   public:
    explicit Awaiter(InboxQueue& queue) noexcept : queue_(queue) {}
    bool await_ready() const noexcept { return !queue_.messages_.empty() || queue_.lost_; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
      CORERING_ASSERT(queue_.line_.empty(), "only one coroutine at a time may wait for an inbox");
      wait_in(queue_.line_, coroutine, promise_of(coroutine));
    }
    [[nodiscard]] Result<void> await_resume() noexcept {
      const Result<void> waited = is_suspended() ? finish() : Result<void>();
      if (!waited || !queue_.messages_.empty()) return waited;
      queue_.lost_ = false;
      return failure(ENOMEM);
    }
    void describe(std::string& text) const override { text += "an inbox"; }
    [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::stream; }

   private:
    InboxQueue& queue_;
  };

  /// Waits until there is a message.
  WaitOperation<Awaiter, InboxQueue> wait() noexcept { return WaitOperation<Awaiter, InboxQueue>(*this); }
  [[nodiscard]] std::int32_t take() noexcept;
  [[nodiscard]] bool empty() const noexcept { return messages_.empty(); }
  [[nodiscard]] const InboxAddress& address() const noexcept { return address_; }

 private:
  void received(std::int32_t res) noexcept override;
  void ring_closes() noexcept override;

  InboxAddress address_;
  Backlog<std::int32_t> messages_;
  bool lost_ = false;  // a message, because there was no memory to keep it
  QueuedWait::Line line_;
};

}  // namespace detail

/// Receives numbers. A number that arrives after the inbox is destroyed is dropped.
/// thread: make and use it on one worker; destroy it there, or after that worker has ended
class NumberInbox {
 public:
  [[nodiscard]] InboxAddress address() const noexcept { return queue_.address(); }

  /// Returns the next message, in the order of arrival.
  /// suspends: until there is a message · resumes: same worker · thread: one coroutine at a time
  /// errors: ENOMEM, after the messages before it, if there was no memory to keep a message
  [[nodiscard]] Task<Result<std::int32_t>> receive();

 private:
  detail::InboxQueue queue_;
};

/// Receives files into this worker's table. The same rules hold. A file that nobody has received is closed
/// with the inbox; a file that comes later is closed with the table.
class FileInbox {
 public:
  explicit FileInbox(const FileTable& table) : slots_(table.slots()) {}
  FileInbox(FileInbox&&) = delete;
  ~FileInbox();

  [[nodiscard]] InboxAddress address() const noexcept { return queue_.address(); }
  [[nodiscard]] Task<Result<FixedFile>> receive();

 private:
  detail::HeldSlots slots_;
  detail::InboxQueue queue_;
};

/// Sends a number to an inbox, from any worker. The coroutine resumes when the number is in the other ring.
/// | MSG_RING | 5.18 | io_uring_enter(2) | the inbox's worker | EOVERFLOW; EBADFD: that ring is not running |
inline IoOperation<void> async_msg_ring(const InboxAddress& to, std::int32_t number) noexcept {
  return IoOperation<void>(Request{.addr = uapi::msg_data,
                                   .fd = to.ring,
                                   .len = static_cast<std::uint32_t>(number),
                                   .off = to.user_data,
                                   .head = head(Opcode::msg_ring)});
}

/// Sends a file to an inbox. After that the file is in both tables.
/// | MSG_RING (SEND_FD) | 6.0 | io_uring_enter(2) | `file`, the inbox's worker | ENFILE: no free slot there; ENXIO: no table |
inline IoOperation<void> async_msg_ring(const InboxAddress& to, const FixedFile& file) noexcept {
  return IoOperation<void>(Request{.addr = uapi::msg_send_fd,
                                   .fd = to.ring,
                                   .off = to.user_data,
                                   .head = head(Opcode::msg_ring),
                                   .extra = with_file_index(uapi::file_index_alloc),
                                   .addr3 = file.is_open() ? file.slot() : ~0U});
}

}  // namespace corering
