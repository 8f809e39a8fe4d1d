/// send_queue.hpp — many buffers, sent in order by one request: a ring of buffers to send from. The rows are
/// explained in io/file_calls.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <corering/io/socket_calls.hpp>

namespace corering {

namespace detail {
class SendRing;
}

/// Holds the buffers that one connection will send. Destroy it only when nothing is being sent from it.
/// thread: make and use it on one worker; destroy it there, or after that worker has ended
class SendQueue {
 public:
  /// Makes a queue with room for `capacity` buffers, which must be a power of two up to 32768.
  /// errors: EINVAL for another capacity · thread: a worker
  [[nodiscard]] static Result<SendQueue> create(std::uint32_t capacity = 256);

  SendQueue(SendQueue&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  SendQueue& operator=(SendQueue&& other) noexcept {
    SendQueue taken(std::move(other));
    std::swap(ring_, taken.ring_);
    return *this;
  }
  ~SendQueue();

  /// Puts a buffer at the end. Returns false if there is no room, if `bytes` is empty, or if it is larger
  /// than 1 GiB.
  /// keep alive: `bytes` until they have been sent
  [[nodiscard]] bool push(std::span<const std::byte> bytes) noexcept;

  [[nodiscard]] std::size_t buffers() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return buffers() == 0; }

  [[nodiscard]] detail::SendRing& ring() const noexcept { return *ring_; }

 private:
  explicit SendQueue(detail::SendRing* ring) noexcept : ring_(ring) {}
  detail::SendRing* ring_;
};

namespace detail {

class SendQueueAnswer {
 public:
  explicit SendQueueAnswer(SendRing& ring) noexcept : ring_(&ring) {}
  void rewrite(Request& request, const Capabilities& there) noexcept;
  /// Some kernels answer one such request several times (F_MORE): each answer says how much more was sent.
  static constexpr bool gathers = true;
  void filed(Reply& reply) noexcept;
  /// Removes the bytes that have been sent from the queue.
  std::size_t decode(const Reply& reply) const noexcept;

 private:
  SendRing* ring_;
  msghdr message_{};
  std::size_t sent_ = 0;
};

[[nodiscard]] std::uint16_t group_of(const SendRing& ring) noexcept;

}  // namespace detail

/// Sends the buffers in `queue`, in order, as many as one request takes (at least 256), and returns how many
/// bytes were sent. They have left the queue; the rest of a buffer that was sent in part stays. The socket
/// must be a stream socket. Only one request may run at a time, and nothing may be pushed meanwhile. After an
/// error it is not known how much was sent: the connection cannot be used any more. An older kernel uses a
/// SENDMSG instead.
/// | SEND (BUNDLE) | 6.10 | send(2) | `queue` and its buffers | EPIPE, ECONNRESET; ENOBUFS: it is empty |
inline auto async_send_bundle(const Descriptor& socket, const SendQueue& queue, int flags = 0) noexcept {
  Request request =
      detail::socket_transfer(head(Opcode::send, socket, uapi::sqe_buffer_select, uapi::recvsend_bundle),
                              socket, nullptr, 0, detail::quietly(flags | MSG_WAITALL));
  request.extra = in_buffer(detail::group_of(queue.ring()));
  return ProbedOperation<std::size_t, detail::SendQueueAnswer>(request, {.need = Feature::bundles},
                                                               detail::SendQueueAnswer(queue.ring()));
}

}  // namespace corering
