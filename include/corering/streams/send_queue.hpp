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

/// What one connection is to send. Made and used on one worker; destroyed there, or after that has ended,
/// when nothing is being sent from it.
class SendQueue {
 public:
  /// On a worker. Room for `capacity` buffers, a power of two up to 32768, else EINVAL.
  [[nodiscard]] static Result<SendQueue> create(std::uint32_t capacity = 256);

  SendQueue(SendQueue&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  SendQueue& operator=(SendQueue&& other) noexcept {
    std::swap(ring_, other.ring_);
    return *this;
  }
  ~SendQueue();

  /// Puts a buffer at the end, which stays alive until it has been sent. False when there is no room, for
  /// nothing, or for more than 1 GiB.
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
  /// Takes what has gone out of the queue.
  std::size_t decode(const Reply& reply) const noexcept;

 private:
  SendRing* ring_;
  msghdr message_{};
};

[[nodiscard]] std::uint16_t group_of(const SendRing& ring) noexcept;

}  // namespace detail

/// Sends what is in `queue`, in order, as far as one request takes it (at least 256 buffers), and returns how
/// many bytes that were; they have left the queue, the rest of a buffer that went in part stays. On a stream
/// socket, one at a time, and nothing is pushed meanwhile. After an error what has gone is not known: the
/// connection is done for. An older kernel makes it a SENDMSG.
/// | SEND (BUNDLE) | 6.10 | send(2) | `queue` and its buffers | EPIPE, ECONNRESET; ENOBUFS: it is empty |
inline auto async_send_bundle(const Descriptor& socket, const SendQueue& queue, int flags = 0) noexcept {
  Request request =
      detail::socket_transfer(head(Opcode::send, socket, abi::sqe_buffer_select, abi::recvsend_bundle),
                              socket, nullptr, 0, detail::quietly(flags | MSG_WAITALL));
  request.extra = in_buffer(detail::group_of(queue.ring()));
  return ProbedOperation<std::size_t, detail::SendQueueAnswer>(request, {.need = Feature::bundles},
                                                               detail::SendQueueAnswer(queue.ring()));
}

}  // namespace corering
