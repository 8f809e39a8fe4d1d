/// buffer_pool.hpp — buffers that the kernel picks from when data is there: a provided-buffer ring.
///
/// Thousands of idle connections then need no buffer of their own. A buffer is with the kernel or lent to
/// you, never both, and none gets lost: `in_kernel() + lent() == capacity()` is asserted at every move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/engine/completion.hpp>
#include <corering/sync/event.hpp>

namespace corering {

struct BufferPoolOptions {
  std::uint32_t count = 256;  ///< 1 to 32768, a power of two
  std::size_t size = 4096;    ///< bytes of each
  /// A large buffer is handed out in pieces, as much as each receive needs (Linux 6.12; without it every
  /// receive takes a whole buffer).
  bool incremental = false;
  /// Asks for huge pages; where there are none, ordinary ones that may be merged serve.
  bool huge_pages = false;
};

namespace detail {
class BufferRing;
}

/// A buffer of a pool, or a piece of one, with what the kernel has put there. Gives itself back when it is
/// destroyed, on whatever thread; the pool outlives it.
class LentBuffer {
 public:
  LentBuffer() noexcept = default;
  LentBuffer(LentBuffer&& other) noexcept
      : ring_(std::exchange(other.ring_, nullptr)), bytes_(std::exchange(other.bytes_, {})), id_(other.id_) {}
  LentBuffer& operator=(LentBuffer&& other) noexcept {
    std::swap(ring_, other.ring_);
    std::swap(bytes_, other.bytes_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~LentBuffer() { give_back(); }

  /// What has been received; may be written to.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  /// The same as characters.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  /// True at the end of a stream, when a buffer has come with nothing in it.
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  /// Now rather than in the destructor.
  void give_back() noexcept;

 private:
  friend class detail::BufferRing;
  LentBuffer(detail::BufferRing& ring, std::uint16_t id, std::span<std::byte> bytes) noexcept
      : ring_(&ring), bytes_(bytes), id_(id) {}

  detail::BufferRing* ring_ = nullptr;
  std::span<std::byte> bytes_;
  std::uint16_t id_ = 0;
};

/// Made on a worker and used by operations of that worker. Destroyed there, or after the worker has ended,
/// when nothing is lent any more.
class BufferPool {
 public:
  /// On a worker. EINVAL for a count that is no power of two up to 32768, or a size of 0 or above 1 GiB;
  /// ENOMEM.
  [[nodiscard]] static Result<BufferPool> create(BufferPoolOptions options = {});

  BufferPool(BufferPool&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  BufferPool& operator=(BufferPool&& other) noexcept {
    std::swap(ring_, other.ring_);
    return *this;
  }
  ~BufferPool();

  [[nodiscard]] std::uint32_t capacity() const noexcept;
  [[nodiscard]] std::size_t buffer_size() const noexcept;
  /// How many the kernel can pick from, some of them in part lent if the pool is incremental.
  [[nodiscard]] std::uint32_t in_kernel() const noexcept;
  [[nodiscard]] std::uint32_t lent() const noexcept;
  [[nodiscard]] bool is_incremental() const noexcept;
  [[nodiscard]] bool uses_huge_pages() const noexcept;

  /// Waits until the kernel has a buffer to pick, for who was told ENOBUFS. Does not suspend if it has.
  [[nodiscard]] WaitOperation<Event::Awaiter, Event> wait_for_buffer() noexcept;

  [[nodiscard]] detail::BufferRing& ring() const noexcept { return *ring_; }

 private:
  explicit BufferPool(detail::BufferRing* ring) noexcept : ring_(ring) {}
  detail::BufferRing* ring_;
};

namespace detail {

/// Reads the buffer's id out of a reply. Holds the ring while a stream uses it.
class LentAnswer {
 public:
  explicit LentAnswer(BufferRing& ring) noexcept : ring_(&ring) {}
  /// From here on the buffer is lent, whenever the reply is looked at.
  void filed(Reply& reply) const noexcept;
  LentBuffer decode(const Reply& reply) const noexcept;
  /// A buffer may come with an error, too.
  void dispose(const Reply& reply) const noexcept;
  [[nodiscard]] BufferRing& ring() const noexcept { return *ring_; }

 private:
  BufferRing* ring_;
};

/// Of one receive that may fill several buffers.
class BundleAnswer {
 public:
  explicit BundleAnswer(BufferRing& ring) noexcept : ring_(&ring) {}
  BundleAnswer(const BundleAnswer& other) noexcept : ring_(other.ring_) {}
  void filed(Reply& reply);
  std::vector<LentBuffer> decode(const Reply&) noexcept { return std::move(lent_); }
  void dispose(const Reply&) noexcept { lent_.clear(); }

 private:
  BufferRing* ring_;
  std::vector<LentBuffer> lent_;
};

/// A stream's payload: keeps the ring of a pool that is destroyed before the kernel's last reply.
class HeldRing {
 public:
  explicit HeldRing(BufferRing& ring) noexcept;
  HeldRing(HeldRing&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  ~HeldRing();
  [[nodiscard]] BufferRing& operator*() const noexcept { return *ring_; }

 private:
  BufferRing* ring_;
};

[[nodiscard]] std::uint16_t group_of(const BufferRing& ring) noexcept;

}  // namespace detail
}  // namespace corering
