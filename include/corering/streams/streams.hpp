/// streams.hpp — requests that stay armed: each await takes what has come meanwhile.
///
///     for (;;) {
///       Result<LentBuffer> piece = co_await stream.next();
///       if (!piece) break;  // is_end(piece.error()), or a failure
///       ...
///     }
///
/// A stream does not own its descriptor. Destroying a stream cancels its request and disposes of what nobody
/// took. Some conditions end a request but not the stream (a full completion queue, no free buffer, no free
/// descriptor): the stream handles them itself. The rows are explained in io/file_calls.hpp.
/// cancelled: next() fails with the scope's reason; the stream stays armed, and nothing is lost
/// keep alive: the descriptor stays open as long as the stream exists
/// thread: make, use and destroy a stream on one worker, or destroy it after that worker has ended; one
///   coroutine at a time awaits next()
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <span>
#include <sys/socket.h>
#include <vector>

#include <corering/base/any_duration.hpp>
#include <corering/core/operation.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/multishot.hpp>
#include <corering/resources/buffer_pool.hpp>
#include <corering/resources/descriptor.hpp>
#include <corering/resources/file_table.hpp>
#include <corering/streams/datagram.hpp>
#include <corering/streams/stream_error.hpp>

namespace corering {

namespace detail {

/// The payload for a lent buffer. It keeps the ring of buffers alive.
class HeldLent {
 public:
  explicit HeldLent(const BufferPool& pool) noexcept : ring_(pool.ring()) {}
  void filed(Reply& reply) const noexcept { LentAnswer(*ring_).filed(reply); }
  LentBuffer decode(const Reply& reply) const noexcept { return LentAnswer(*ring_).decode(reply); }
  void dispose(const Reply& reply) const noexcept { (void)decode(reply); }

 private:
  HeldRing ring_;
};

/// The payload for a slot. It keeps the file table alive.
class HeldSlot {
 public:
  explicit HeldSlot(const FileTable& table) noexcept : slots_(table.slots()) {}
  FixedFile decode(const Reply& reply) const noexcept { return SlotAnswer(*slots_).decode(reply); }

 private:
  HeldSlots slots_;
};

/// The payload for a message. The msghdr of the request lies in the stream's block.
class HeldMessage : public HeldLent {
 public:
  HeldMessage(const BufferPool& pool, std::uint32_t control_size) noexcept : HeldLent(pool) {
    shape_.msg_namelen = sizeof(sockaddr_storage);
    shape_.msg_controllen = control_size;
  }
  void prepare(Request& request) noexcept {
    request.addr = reinterpret_cast<std::uintptr_t>(&shape_);
    request.op_flags |= MSG_CMSG_CLOEXEC;
  }

 private:
  msghdr shape_{};
};

class HeldInterval : public Answer<void> {
 public:
  explicit HeldInterval(Duration interval) noexcept;
  void prepare(Request& request) const noexcept { request.addr = reinterpret_cast<std::uintptr_t>(&time_); }

 private:
  uapi::Timespec time_;
};

/// Waits for the reply that brings the next connection. Errors that pass by themselves are not returned.
template <class Payload>
Task<Result<Reply>> next_connection(Multishot<Payload>& shots);

}  // namespace detail

/// The connections that a listener accepts. Their descriptors are close-on-exec.
/// | ACCEPT (MULTISHOT) | 5.19 | accept(2) | the listener | EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM: waited for; EINVAL: not listening |
class AcceptStream {
 public:
  /// When `limit` connections wait to be taken, the others stay in the listener's backlog.
  explicit AcceptStream(const Descriptor& listener, std::size_t limit = 64);

  /// Waits for the next connection. Errors of a single connection (ECONNABORTED) are skipped. While no
  /// descriptor is free, or a firewall's rule (EPERM) or the state of the network forbids it, it waits, and
  /// tries again every 20 ms.
  [[nodiscard]] Task<Result<Fd>> next();

 private:
  Multishot<Answer<Fd>> shots_;
};

/// The connections that a listener accepts, put into free slots of a file table.
/// | ACCEPT (MULTISHOT, direct) | 5.19 | accept(2) | the listener, `table` | ENFILE: waited for |
class FixedAcceptStream {
 public:
  FixedAcceptStream(const FileTable& table, const Descriptor& listener, std::size_t limit = 64);
  [[nodiscard]] Task<Result<FixedFile>> next();

 private:
  Multishot<detail::HeldSlot> shots_;
};

/// The bytes that arrive on a connection, in buffers of `pool`.
/// keep alive: `pool`, longer than the stream
/// | RECV (MULTISHOT) | 6.0 | recv(2) | the socket, `pool` | ENOBUFS: waited for; ECONNRESET |
class RecvStream {
 public:
  RecvStream(const Descriptor& socket, const BufferPool& pool);

  /// Waits for the next piece, which is never empty. An older kernel receives piece by piece.
  /// errors: StreamErrc::end when the peer has ended the stream
  [[nodiscard]] Task<Result<LentBuffer>> next();

 private:
  Descriptor socket_;
  detail::BufferPoolHolder pool_;
  Multishot<detail::HeldLent> shots_;
};

/// The bytes that can be read from a pipe, a terminal, an eventfd and the like, in buffers of `pool`.
/// keep alive: `pool`, longer than the stream
/// | READ_MULTISHOT | 6.7 | read(2) | the file, `pool` | ENOBUFS: waited for |
class ReadStream {
 public:
  ReadStream(const Descriptor& file, const BufferPool& pool);

  /// Waits for the next piece, which is never empty. With an older kernel, or with a file that cannot be
  /// polled, such as a regular file, it reads piece by piece.
  /// errors: StreamErrc::end at the end
  [[nodiscard]] Task<Result<LentBuffer>> next();

 private:
  Descriptor file_;
  detail::BufferPoolHolder pool_;
  Multishot<detail::HeldLent> shots_;
  bool one_by_one_ = false;
};

/// Datagrams, in buffers of `pool`, which must not be incremental. A buffer must hold a datagram, its address
/// (128 bytes), `control_size` bytes and 16 more.
/// keep alive: `pool`, longer than the stream
/// | RECVMSG (MULTISHOT) | 6.0 | recvmsg(2) | the socket, `pool` | ENOBUFS: waited for; EFAULT, EINVAL: buffers too small |
class RecvmsgStream {
 public:
  RecvmsgStream(const Descriptor& socket, const BufferPool& pool, std::uint32_t control_size = 0);

  [[nodiscard]] Task<Result<Datagram>> next();

 private:
  Task<Result<Datagram>> receive_one();
  [[nodiscard]] Datagram dissect(LentBuffer buffer) const noexcept;

  Descriptor socket_;
  detail::BufferPoolHolder pool_;
  std::uint32_t control_size_;
  Multishot<detail::HeldMessage> shots_;
};

/// Reports readiness again and again. It reports edges, as epoll does with EPOLLET.
/// | POLL_ADD (MULTI) | 5.13 | poll(2) | the descriptor | - |
class PollStream {
 public:
  PollStream(const Descriptor& fd, unsigned events);

  /// Waits until one or more of the events newly hold, and returns which ones do.
  [[nodiscard]] Task<Result<unsigned>> next();

 private:
  Multishot<Answer<unsigned>> shots_;
};

/// Ticks of the kernel's clock, CLOCK_MONOTONIC. A loop with sleep_until does the same without an SQE.
/// | TIMEOUT (MULTISHOT) | 6.4 | io_uring_enter(2) | - | EINVAL: not positive |
class TimeoutStream {
 public:
  explicit TimeoutStream(AnyDuration interval);

  /// Waits for the next tick. At most 64 missed ticks are made up for. With an older kernel, or with ticks
  /// that follow each other within a millisecond, it sets one timeout after the other.
  [[nodiscard]] Task<Result<void>> next();

 private:
  static constexpr int most_missed = 64;
  Task<Result<void>> tick_alone();

  Duration interval_;
  TimePoint next_tick_ = TimePoint::min();
  Multishot<detail::HeldInterval> shots_;
};

}  // namespace corering
