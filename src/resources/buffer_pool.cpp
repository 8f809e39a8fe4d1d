/// buffer_pool.cpp — the ring of buffers, and who has which buffer.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <mutex>
#include <new>
#include <sys/mman.h>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/base/spin_lock.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/resources/buffer_pool.hpp>
#include <corering/resources/size_error.hpp>
#include <corering/sync/sleep.hpp>
#include <corering/sync/when.hpp>

#include "base/kernel_memory.hpp"
#include "resources/memory.hpp"

namespace corering {
namespace detail {

/// The kernel takes entries from the front, and we put them at the end. The place of an entry does not say
/// who gets its buffer: completions name the buffer.
class BufferRing final : public RingResource {
 public:
  BufferRing(const BufferPoolOptions& options, bool incremental)
      : count_(options.count), size_(options.size), incremental_(incremental), slots_(options.count) {
    abroad_.reserve(count_);
  }
  BufferRing(BufferRing&&) = delete;
  ~BufferRing() = default;

  Result<void> open(bool huge_pages) {
    home_ = here::loop();
    if (!entries_memory_.map(count_ * sizeof(uapi::RingBuffer), false)) return failure(ENOMEM);
    if (!buffers_.map(count_ * size_, huge_pages)) return failure(ENOMEM);
    entries_ = static_cast<uapi::RingBuffer*>(entries_memory_.address());
    uapi::BufferRingRegister wish{
        .address = reinterpret_cast<std::uintptr_t>(entries_),
        .entries = count_,
        .flags = static_cast<std::uint16_t>(incremental_ ? uapi::pbuf_ring_inc : 0)};
    const int registered = here::register_buffer_ring(wish);
    if (registered < 0) return failure(-registered);
    group_ = wish.group;
    open_ = true;
    here::attach_resource(*this);
    for (std::uint32_t id = 0; id < count_; ++id) provide(static_cast<std::uint16_t>(id));
    publish();
    returned_.set();
    return {};
  }

  [[nodiscard]] std::uint16_t group() const noexcept { return group_; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t in_kernel() const noexcept { return in_kernel_; }
  [[nodiscard]] std::uint32_t lent() noexcept {
    take_back_from_others();
    return lent_;
  }
  [[nodiscard]] bool is_incremental() const noexcept { return incremental_; }
  [[nodiscard]] bool uses_huge_pages() const noexcept { return buffers_.is_huge(); }
  /// Returns how many buffers have been given to the kernel, ever.
  [[nodiscard]] std::uint64_t returns() noexcept {
    take_back_from_others();
    return returns_;
  }
  [[nodiscard]] Event& returned() noexcept {
    take_back_from_others();
    return returned_;
  }

  /// Records that the kernel has filled a buffer, or a piece of one, which is ours now. Returns where the
  /// piece begins. Call it in the order of the CQEs, because the pieces of a buffer follow each other.
  std::uint32_t account(const Reply& reply) noexcept {
    const std::uint16_t id = id_of(reply);
    const std::size_t room = id < count_ ? size_ - slots_[id].used : 0;
    return account_piece(id, piece_length(reply, room), (reply.flags & uapi::cqe_buf_more) != 0);
  }

  /// Returns the piece that account() has recorded.
  LentBuffer piece(const Reply& reply) noexcept {
    LentBuffer piece = make_piece(id_of(reply), reply.offset, piece_length(reply, size_ - reply.offset));
    piece.whole_size_ = static_cast<std::uint32_t>(std::max(reply.res, 0));
    return piece;
  }

  /// Records and returns several buffers, which follow each other in the ring. It does both at once, while no
  /// entry has been used again.
  void lend_bundle(const Reply& reply, std::vector<LentBuffer>& lent) {
    auto left = static_cast<std::size_t>(std::max(reply.res, 0));
    std::uint16_t id = id_of(reply);
    CORERING_ASSERT(id < count_, "the kernel returned a buffer that is not of this pool");
    std::uint16_t position = slots_[id].position;
    do {
      const auto length = static_cast<std::uint32_t>(std::min(left, size_));
      lent.push_back(make_piece(id, account_piece(id, length, false), length));
      left -= length;
      id = entries_[++position & (count_ - 1)].id;
    } while (left > 0 && slots_[id].in_kernel);
  }

  void take_back(std::uint16_t id) noexcept {
    if (here::loop() == home_ && open_) {  // only its worker closes it
      return_piece(id);
      return tell_of_returns();
    }
    take_back_from_abroad(id);
  }

  void hold() noexcept { ++holders_; }
  void let_go() noexcept {
    if (--holders_ == 0 && abandoned_) destroy();
  }

  void abandon() noexcept {
    {
      const std::lock_guard lock(lock_);
      CORERING_ASSERT(
          !open_ || here::loop() == home_,
          "a buffer pool was destroyed on a thread that is not its worker's, before that worker ended");
    }
    CORERING_ASSERT(lent() == 0, "a buffer pool was destroyed while one of its buffers was still lent");
    abandoned_ = true;
    if (holders_ == 0) destroy();
  }

  void ring_closes() noexcept override {
    const std::lock_guard lock(lock_);
    open_ = false;
  }

 private:
  struct Slot {
    std::uint32_t used = 0;      // bytes that have been lent since the buffer was provided
    std::uint32_t pieces = 0;    // pieces that are lent
    std::uint16_t position = 0;  // where its entry is
    bool in_kernel = false;
    std::uint32_t back_from_abroad = 0;  // pieces that other threads have given back; under the lock
  };

  static std::uint16_t id_of(const Reply& reply) noexcept {
    return static_cast<std::uint16_t>(reply.flags >> uapi::cqe_buffer_shift);
  }

  /// With MSG_TRUNC the kernel says how long a datagram was, not how much of it the buffer holds.
  static std::uint32_t piece_length(const Reply& reply, std::size_t room) noexcept {
    return static_cast<std::uint32_t>(std::min(static_cast<std::size_t>(std::max(reply.res, 0)), room));
  }

  std::uint32_t account_piece(std::uint16_t id, std::uint32_t length, bool kernel_keeps_it) noexcept {
    CORERING_ASSERT(id < count_ && slots_[id].in_kernel && slots_[id].used + length <= size_,
                    "the kernel returned a buffer that was not with the kernel");
    Slot& slot = slots_[id];
    const std::uint32_t offset = slot.used;
    slot.used += length;
    ++slot.pieces;
    end_watch(id, offset);
    if (kernel_keeps_it) {
      watch(id);
    } else {
      slot.in_kernel = false;
      --in_kernel_;
      ++lent_;
    }
    if (in_kernel_ == 0) returned_.reset();
    check();
    return offset;
  }

  LentBuffer make_piece(std::uint16_t id, std::uint32_t offset, std::uint32_t length) noexcept {
    return LentBuffer(*this, id, {start_of(id) + offset, length});
  }

  void tell_of_returns() noexcept {
    publish();
    if (in_kernel_ > 0) returned_.set();
  }

  void return_piece(std::uint16_t id) noexcept {
    Slot& slot = slots_[id];
    CORERING_ASSERT(slot.pieces > 0, "a buffer was given back twice");
    if (--slot.pieces > 0 || slot.in_kernel) return;
    --lent_;
    provide(id);
    check();
  }

  void provide(std::uint16_t id) noexcept {
    CORERING_DEBUG_ASSERT(id < count_ && !slots_[id].in_kernel, "a buffer is given to the kernel once");
    // We do not write the entry as a whole: the last field of the first entry is the ring's tail.
    uapi::RingBuffer& entry = entries_[tail_ & (count_ - 1)];
    entry.address = reinterpret_cast<std::uintptr_t>(start_of(id));
    entry.length = static_cast<std::uint32_t>(size_);
    entry.id = id;
    slots_[id] = {.used = 0, .pieces = 0, .position = tail_, .in_kernel = true};
    watch(id);
    ++tail_;
    ++in_kernel_;
    ++returns_;
  }

  // ---- for the address sanitizer: what a simulated kernel has is nobody else's ----

  void watch(std::uint16_t id) noexcept {
    if (!is_watched_) return;
    const std::uint32_t used = slots_[id].used;
    kernel_memory::take(start_of(id) + used, size_ - used);
  }
  void end_watch(std::uint16_t id, std::uint32_t used) noexcept {
    if (is_watched_) kernel_memory::give_back(start_of(id) + used, size_ - used);
  }
  std::byte* start_of(std::uint16_t id) const noexcept {
    return static_cast<std::byte*>(buffers_.address()) + id * size_;
  }

  // release: the kernel sees the entries before it sees the tail.
  void publish() noexcept { std::atomic_ref(entries_[0].tail).store(tail_, std::memory_order_release); }

  void check() const noexcept {
    CORERING_ASSERT(in_kernel_ + lent_ == count_, "buffers of a pool have been lost");
  }

  // ---- from other threads ----

  void take_back_from_abroad(std::uint16_t id) noexcept {
    const std::lock_guard lock(lock_);
    if (slots_[id].back_from_abroad++ == 0) abroad_.push_back(id);  // it has room for every buffer once
    if (!open_ || message_.under_way) return;
    // We post also while the worker stops, because a shielded wait may be waiting for this buffer. The worker
    // has not ended, or it would have closed this ring.
    message_.under_way = post_regardless(*home_, message_);
  }

  void take_back_from_others() noexcept {
    const std::lock_guard lock(lock_);
    for (const std::uint16_t id : abroad_) {
      for (std::uint32_t left = std::exchange(slots_[id].back_from_abroad, 0); left > 0; --left) {
        return_piece(id);
      }
    }
    if (!abroad_.empty() && open_) tell_of_returns();
    abroad_.clear();
  }

  struct Message : CallNode {
    explicit Message(BufferRing& ring) noexcept : CallNode(&arrived), ring(ring) {}
    static void arrived(PostNode& node, Loop&) noexcept {
      auto& message = static_cast<Message&>(node);
      {
        const std::lock_guard lock(message.ring.lock_);
        message.under_way = false;
      }
      message.ring.take_back_from_others();
      if (message.ring.abandoned_ && message.ring.holders_ == 0) message.ring.destroy();
    }
    BufferRing& ring;
    bool under_way = false;
  };

  void destroy() noexcept {
    if (message_.under_way) return;  // when it arrives, it calls this again
    if (open_) {
      uapi::BufferRingRegister which{.group = group_};
      here::register_resource(uapi::unregister_pbuf_ring, &which, 1);
    }
    for (std::uint32_t id = 0; id < count_; ++id) {
      if (slots_[id].in_kernel) end_watch(static_cast<std::uint16_t>(id), slots_[id].used);
    }
    unlink();
    delete this;
  }

  const std::uint32_t count_;
  const std::size_t size_;
  const bool incremental_;
  Loop* home_ = nullptr;
  std::uint16_t group_ = 0;
  Memory entries_memory_;
  Memory buffers_;
  uapi::RingBuffer* entries_ = nullptr;

  // Only its worker uses these, or whoever is left when the worker has ended.
  std::vector<Slot> slots_;
  std::uint16_t tail_ = 0;
  std::uint32_t in_kernel_ = 0;
  std::uint64_t returns_ = 0;
  std::uint32_t lent_ = 0;
  std::uint32_t holders_ = 0;
  bool abandoned_ = false;
  Event returned_;
  const bool is_watched_ = kernel_memory::is_watched && os::world() != nullptr;

  SpinLock lock_;
  // The lock guards these:
  bool open_ = false;
  std::vector<std::uint16_t> abroad_;
  Message message_{*this};
};

void LentAnswer::filed(Reply& reply) const noexcept {
  if ((reply.flags & uapi::cqe_buffer) != 0) reply.offset = ring_->account(reply);
}

LentBuffer LentAnswer::decode(const Reply& reply) const noexcept {
  if ((reply.flags & uapi::cqe_buffer) == 0) return {};
  return ring_->piece(reply);
}

void LentAnswer::dispose(const Reply& reply) const noexcept { (void)decode(reply); }

void BundleAnswer::filed(Reply& reply) {
  try {
    if ((reply.flags & uapi::cqe_buffer) != 0) ring_->lend_bundle(reply, lent_);
  } catch (const std::bad_alloc&) {
    end_without_memory("the list of buffers of a bundle");
  }
  if (!lent_.empty()) reply.res = std::max(reply.res, 0);  // what has come before an error counts
}

HeldRing::HeldRing(BufferRing& ring) noexcept : ring_(&ring) { ring.hold(); }
HeldRing::~HeldRing() {
  if (ring_ != nullptr) ring_->let_go();
}

std::uint16_t group_of(const BufferRing& ring) noexcept { return ring.group(); }

}  // namespace detail

void LentBuffer::give_back() noexcept {
  if (ring_ == nullptr) return;
  bytes_ = {};
  std::exchange(ring_, nullptr)->take_back(id_);
}

Result<BufferPool> BufferPool::create(BufferPoolOptions options, std::source_location where) {
  here::require_worker("a buffer pool must be made on the worker that uses it: hop there first", where);
  constexpr std::size_t largest = std::size_t{1} << 30;
  if (!std::has_single_bit(options.count) || options.count > 32768)
    return std::unexpected(make_error_code(SizeErrc::ring_count));
  if (options.size == 0 || options.size > largest)
    return std::unexpected(make_error_code(SizeErrc::buffer_size));
  const bool incremental = options.incremental && here::capabilities().has(Feature::incremental_buffers);
  auto ring = std::make_unique<detail::BufferRing>(options, incremental);
  if (const Result<void> opened = ring->open(options.huge_pages); !opened)
    return std::unexpected(opened.error());
  return BufferPool(ring.release());
}

BufferPool::~BufferPool() {
  if (ring_ != nullptr) ring_->abandon();
}

std::uint32_t BufferPool::capacity() const noexcept { return ring_->count(); }
std::size_t BufferPool::buffer_size() const noexcept { return ring_->size(); }
std::uint32_t BufferPool::in_kernel() const noexcept { return ring_->in_kernel(); }
std::uint32_t BufferPool::lent() const noexcept { return ring_->lent(); }
bool BufferPool::is_incremental() const noexcept { return ring_->is_incremental(); }
bool BufferPool::uses_huge_pages() const noexcept { return ring_->uses_huge_pages(); }

namespace {

constexpr Duration before_the_next_try = std::chrono::milliseconds(20);

// The event is reset, so that it tells of the next buffer. Others wait for any that the kernel has.
Task<Result<void>> wait_a_while(detail::BufferRing& ring) {
  const auto first = co_await when_any(ring.returned().wait(), sleep_for(before_the_next_try));
  if (ring.in_kernel() > 0) ring.returned().set();
  co_return first.index == 0 ? std::get<0>(first.result) : std::get<1>(first.result);
}

}  // namespace

// If all buffers are lent, one has to come back. Otherwise perhaps none ever does: the kernel may have had
// its buffers elsewhere for a moment.
Task<Result<void>> detail::BufferPoolHolder::wait_for_return() {
  BufferRing& ring = pool_.ring();
  if (ring.returns() == seen_returns_) {
    ring.returned().reset();
    Result<void> there;
    if (ring.in_kernel() > 0) {
      there = co_await wait_a_while(ring);
    } else {
      there = co_await ring.returned().wait();
    }
    if (!there) co_return there;
  }
  seen_returns_ = ring.returns();
  co_return Result<void>();
}

WaitOperation<Event::Awaiter, Event> BufferPool::wait_for_buffer() const noexcept {
  return ring_->returned().wait();
}

}  // namespace corering
