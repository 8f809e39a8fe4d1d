/// send_queue.cpp — a ring of buffers that the kernel takes in order.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <memory>
#include <vector>

#include <corering/base/assert.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/resources/size_error.hpp>
#include <corering/streams/send_queue.hpp>

#include "resources/memory.hpp"

namespace corering {
namespace detail {

class SendRing final : public RingResource {
 public:
  explicit SendRing(std::uint32_t count) : count_(count), queued_(count) { parts_.reserve(most_parts); }
  SendRing(SendRing&&) = delete;
  ~SendRing() = default;

  Result<void> open() {
    if (!memory_.map(count_ * sizeof(uapi::RingBuffer), false)) return failure(ENOMEM);
    entries_ = static_cast<uapi::RingBuffer*>(memory_.address());
    uapi::BufferRingRegister wish{.address = reinterpret_cast<std::uintptr_t>(entries_), .entries = count_};
    const int registered = here::register_buffer_ring(wish);
    if (registered < 0) return failure(-registered);
    group_ = wish.group;
    home_ = here::loop();
    here::attach_resource(*this);
    return {};
  }

  bool push(std::span<const std::byte> bytes) noexcept {
    constexpr std::size_t largest = std::size_t{1} << 30;
    if (buffers() == count_ || bytes.empty() || bytes.size() > largest) return false;
    uapi::RingBuffer& entry = entries_[tail_ & (count_ - 1)];
    entry.address = address_of(bytes.data());
    entry.length = static_cast<std::uint32_t>(bytes.size());
    entry.id = static_cast<std::uint16_t>(tail_ & (count_ - 1));
    queued_[tail_ & (count_ - 1)] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    bytes_ += bytes.size();
    ++tail_;
    // release: the kernel sees the entry before the tail.
    std::atomic_ref(entries_[0].tail).store(tail_, std::memory_order_release);
    return true;
  }

  /// Removes `bytes` sent bytes from the front. A buffer that was sent in part stays at the front, shortened.
  void sent(std::size_t bytes) noexcept {
    bytes_ -= bytes;
    while (bytes > 0) {
      iovec& first = queued_[head_ & (count_ - 1)];
      if (bytes < first.iov_len) {
        first = {static_cast<std::byte*>(first.iov_base) + bytes, first.iov_len - bytes};
        return begin_anew();
      }
      bytes -= first.iov_len;
      ++head_;
    }
  }

  /// Returns the queued buffers for a request that does not know rings, as many as one request takes.
  std::span<iovec> parts() noexcept {
    parts_.clear();
    const std::size_t most = std::min<std::size_t>(buffers(), most_parts);
    for (std::size_t i = 0; i < most; ++i)
      parts_.push_back(queued_[static_cast<std::uint16_t>(head_ + i) & (count_ - 1)]);
    return parts_;
  }

  [[nodiscard]] std::size_t buffers() const noexcept { return static_cast<std::uint16_t>(tail_ - head_); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint16_t group() const noexcept { return group_; }

  void close() noexcept {
    CORERING_ASSERT(
        home_ == nullptr || here::loop() == home_,
        "a SendQueue was destroyed on a thread that is not its worker's, before that worker ended");
    if (home_ != nullptr) {
      uapi::BufferRingRegister which{.group = group_};
      here::register_resource(uapi::unregister_pbuf_ring, &which, 1);
      unlink();
    }
    delete this;
  }

  void ring_closes() noexcept override { home_ = nullptr; }

 private:
  /// The kernel has taken an entry out of the ring although a part of it is left, and entries cannot be put
  /// at the front. So the ring is registered again, with what is left.
  void begin_anew() noexcept {
    std::ranges::rotate(queued_, queued_.begin() + (head_ & (count_ - 1)));
    const std::size_t left = buffers();
    uapi::BufferRingRegister wish{
        .address = reinterpret_cast<std::uintptr_t>(entries_), .entries = count_, .group = group_};
    here::register_resource(uapi::unregister_pbuf_ring, &wish, 1);
    head_ = tail_ = 0;
    bytes_ = 0;
    std::atomic_ref(entries_[0].tail).store(0, std::memory_order_release);
    const int registered = here::register_resource(uapi::register_pbuf_ring, &wish, 1);
    CORERING_ASSERT(registered == 0, "the kernel refused to register a SendQueue's ring again");
    for (std::size_t i = 0; i < left; ++i) {
      const iovec part = queued_[i];
      (void)push({static_cast<const std::byte*>(part.iov_base), part.iov_len});
    }
  }

  static constexpr std::size_t most_parts = 256;  // of one request

  const std::uint32_t count_;
  std::vector<iovec> queued_;
  std::vector<iovec> parts_;
  Memory memory_;
  uapi::RingBuffer* entries_ = nullptr;
  Loop* home_ = nullptr;  // null when its ring has been closed
  std::uint16_t group_ = 0;
  std::uint16_t head_ = 0;
  std::uint16_t tail_ = 0;
  std::size_t bytes_ = 0;
};

void SendQueueAnswer::rewrite(Request& request, const Capabilities&) noexcept {
  const std::span<iovec> parts = ring_->parts();
  message_.msg_iov = parts.data();
  message_.msg_iovlen = parts.size();
  request.head = head(Opcode::sendmsg, request.head >> 8 & uapi::sqe_fixed_file);
  request.addr = address_of(&message_);
  request.len = 1;
  request.extra = 0;
}

void SendQueueAnswer::filed(Reply& reply) noexcept {
  if (reply.res >= 0) sent_ += static_cast<std::size_t>(reply.res);
  if (sent_ > 0) reply.res = static_cast<std::int32_t>(std::min<std::size_t>(sent_, INT32_MAX));
}

std::size_t SendQueueAnswer::decode(const Reply& reply) const noexcept {
  const std::size_t bytes = std::min(static_cast<std::size_t>(reply.res), ring_->bytes());
  ring_->sent(bytes);
  return bytes;
}

std::uint16_t group_of(const SendRing& ring) noexcept { return ring.group(); }

}  // namespace detail

Result<SendQueue> SendQueue::create(std::uint32_t capacity) {
  here::require_worker("a SendQueue must be made on the worker that uses it: hop there first",
                       std::source_location::current());
  if (!std::has_single_bit(capacity) || capacity > 32768)
    return std::unexpected(make_error_code(SizeErrc::ring_count));
  auto ring = std::make_unique<detail::SendRing>(capacity);
  if (const Result<void> opened = ring->open(); !opened) return std::unexpected(opened.error());
  return SendQueue(ring.release());
}

SendQueue::~SendQueue() {
  if (ring_ != nullptr) ring_->close();
}

bool SendQueue::push(std::span<const std::byte> bytes) noexcept { return ring_->push(bytes); }
std::size_t SendQueue::buffers() const noexcept { return ring_->buffers(); }
std::size_t SendQueue::bytes() const noexcept { return ring_->bytes(); }

}  // namespace corering
