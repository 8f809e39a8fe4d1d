/// buffer_pool.hpp — buffers that the kernel picks from when data is there: a provided-buffer ring.
///
/// With it thousands of idle connections need no separate buffers. A buffer is either with the kernel or lent
/// to you, never both, and no buffer gets lost: `in_kernel() + lent() == capacity()` is asserted at every
/// move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/completion.hpp>
#include <corering/sync/event.hpp>

namespace corering {

struct BufferPoolOptions {
  std::uint32_t count = 256;  ///< 1 to 32768, a power of two
  std::size_t size = 4096;    ///< bytes per buffer
  /// Hands out a large buffer in pieces: each receive takes as much as it needs.
  /// since: Linux 6.12; without it every receive takes a whole buffer
  bool incremental = false;
  /// Asks for huge pages. Where there are none, ordinary pages are used, which may be merged.
  bool huge_pages = false;
};

namespace detail {
class BufferRing;
class BufferPoolHolder;
}  // namespace detail

/// Owns a buffer of a pool, or a piece of one, with what the kernel has put there. It gives itself back when
/// it is destroyed, on any thread.
/// keep alive: the pool, until the buffer is given back
class LentBuffer {
 public:
  LentBuffer() noexcept = default;
  LentBuffer(LentBuffer&& other) noexcept
      : ring_(std::exchange(other.ring_, nullptr)),
        bytes_(std::exchange(other.bytes_, {})),
        id_(other.id_),
        whole_size_(other.whole_size_) {}
  LentBuffer& operator=(LentBuffer&& other) noexcept {
    LentBuffer taken(std::move(other));
    std::swap(ring_, taken.ring_);
    std::swap(bytes_, taken.bytes_);
    std::swap(id_, taken.id_);
    std::swap(whole_size_, taken.whole_size_);
    return *this;
  }
  ~LentBuffer() { give_back(); }

  /// Returns what has been received. You may write to it.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  /// Returns the same as characters.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  /// Returns how long the datagram was, if it was received with MSG_TRUNC: more than size() if its end is
  /// lost.
  [[nodiscard]] std::size_t whole_size() const noexcept { return whole_size_; }
  /// Returns true at the end of a stream: a buffer has then come with nothing in it.
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  /// Gives the buffer back now rather than in the destructor.
  void give_back() noexcept;

 private:
  friend class detail::BufferRing;
  LentBuffer(detail::BufferRing& ring, std::uint16_t id, std::span<std::byte> bytes) noexcept
      : ring_(&ring), bytes_(bytes), id_(id) {}

  detail::BufferRing* ring_ = nullptr;
  std::span<std::byte> bytes_;
  std::uint16_t id_ = 0;
  std::uint32_t whole_size_ = 0;
};

/// A pool is made on a worker and used by operations of that worker. Destroy it there, or after the worker
/// has ended, when nothing is lent any more. You may move it while streams and lent buffers use it.
class BufferPool {
 public:
  /// Makes a pool.
  /// thread: on a worker
  /// errors: SizeErrc for a count that is not a power of two up to 32768, or a size of 0 or above 1 GiB;
  ///   ENOMEM
  [[nodiscard]] static Result<BufferPool> create(
      BufferPoolOptions options = {}, std::source_location where = std::source_location::current());

  BufferPool(BufferPool&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  BufferPool& operator=(BufferPool&& other) noexcept {
    BufferPool taken(std::move(other));
    std::swap(ring_, taken.ring_);
    return *this;
  }
  ~BufferPool();

  [[nodiscard]] std::uint32_t capacity() const noexcept;
  [[nodiscard]] std::size_t buffer_size() const noexcept;
  /// Returns how many buffers the kernel can pick from. If the pool is incremental, some of them may be lent
  /// in part.
  [[nodiscard]] std::uint32_t in_kernel() const noexcept;
  [[nodiscard]] std::uint32_t lent() const noexcept;
  [[nodiscard]] bool is_incremental() const noexcept;
  [[nodiscard]] bool uses_huge_pages() const noexcept;

  /// Waits until the kernel has a buffer to pick. It is for a coroutine that was told ENOBUFS.
  /// suspends: unless the kernel has one · resumes: same worker
  /// cancelled: fails with the scope's reason
  [[nodiscard]] WaitOperation<Event::Awaiter, Event> wait_for_buffer() const noexcept;

  [[nodiscard]] detail::BufferRing& ring() const noexcept { return *ring_; }

 private:
  friend detail::BufferPoolHolder;
  explicit BufferPool(detail::BufferRing* ring) noexcept : ring_(ring) {}
  detail::BufferRing* ring_;
};

namespace detail {

/// Reads the buffer's id out of a reply. Holds the ring while a stream uses it.
class LentAnswer {
 public:
  explicit LentAnswer(BufferRing& ring) noexcept : ring_(&ring) {}
  /// From here on the buffer is lent, whenever the reply is looked at later.
  void filed(Reply& reply) const noexcept;
  LentBuffer decode(const Reply& reply) const noexcept;
  /// Gives a buffer back, because one may come with an error, too.
  void dispose(const Reply& reply) const noexcept;
  [[nodiscard]] BufferRing& ring() const noexcept { return *ring_; }

 private:
  BufferRing* ring_;
};

/// Reads the buffers out of the reply to one receive that may fill several of them.
class BundleAnswer {
 public:
  explicit BundleAnswer(BufferRing& ring) noexcept : ring_(&ring) {}
  BundleAnswer(const BundleAnswer& other) noexcept : ring_(other.ring_) {}
  static constexpr bool gathers = true;
  void filed(Reply& reply);
  std::vector<LentBuffer> decode(const Reply&) noexcept { return std::move(lent_); }
  void dispose(const Reply&) noexcept { lent_.clear(); }

 private:
  BufferRing* ring_;
  std::vector<LentBuffer> lent_;
};

/// This is the payload of a stream. It keeps the ring when the pool is destroyed before the kernel's last
/// reply.
class HeldRing {
 public:
  explicit HeldRing(BufferRing& ring) noexcept;
  HeldRing(HeldRing&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
  ~HeldRing();
  [[nodiscard]] BufferRing& operator*() const noexcept { return *ring_; }

 private:
  BufferRing* ring_;
};

/// The pool as a stream keeps it: it goes on when the BufferPool itself is moved or destroyed.
class BufferPoolHolder {
 public:
  explicit BufferPoolHolder(const BufferPool& pool) noexcept : pool_(&pool.ring()), held_(pool.ring()) {}
  BufferPoolHolder(BufferPoolHolder&&) noexcept = default;
  ~BufferPoolHolder() { pool_.ring_ = nullptr; }  // it does not own it
  [[nodiscard]] const BufferPool& operator*() const noexcept { return pool_; }
  [[nodiscard]] const BufferPool* operator->() const noexcept { return &pool_; }

  /// For a stream that was told ENOBUFS: waits until a buffer has come back since it was told so before. If
  /// the kernel should have some, it waits at most 20 ms: a request that a helper thread works on may have
  /// picked them, or the kernel has been wrong. cancelled: fails with the scope's reason
  [[nodiscard]] Task<Result<void>> wait_for_return();

  BufferPool pool_;
  HeldRing held_;
  std::uint64_t seen_returns_ = 0;
};

[[nodiscard]] std::uint16_t group_of(const BufferRing& ring) noexcept;

}  // namespace detail
}  // namespace corering
