/// completion_queue.hpp — the CQ of an emulated ring: where the answers go, and what happens when it is full.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <corering/uring/uapi.hpp>

namespace corering::emulation {

/// Like the kernel, it loses nothing: what does not fit is kept aside, in its order, and a flag says so.
/// thread: the ring's
class CompletionQueue {
 public:
  /// Returns 0 or -ENOMEM. `entries` is a power of two; `sq_flags` is where the kernel's flags go.
  int open(std::uint32_t entries, std::uint32_t* sq_flags) noexcept;

  [[nodiscard]] std::uint32_t* head() noexcept { return &head_; }
  [[nodiscard]] std::uint32_t* tail() noexcept { return &tail_; }
  [[nodiscard]] Cqe* cqes() noexcept { return cqes_.get(); }
  [[nodiscard]] std::uint32_t entries() const noexcept { return entries_; }

  /// Makes sure that the next `count` CQEs find a place, in the queue or aside. Returns false if there is no
  /// memory for them.
  [[nodiscard]] bool make_room(std::size_t count) noexcept {
    return aside_.capacity() - aside_.size() >= count || grow(count);
  }
  /// Posts, or keeps aside. make_room() comes first: without it, missing memory would cost the CQE.
  void post(const Cqe& cqe) noexcept;
  /// Posts a CQE that others will follow. Returns false, and posts nothing, when there is no room: the
  /// operation then ends with this CQE.
  [[nodiscard]] bool post_more(const Cqe& cqe) noexcept;
  /// Moves what was kept aside into the queue, as far as there is room.
  void flush() noexcept;

  /// How many CQEs wait to be reaped.
  [[nodiscard]] std::uint32_t ready() const noexcept {
    return tail_ - std::atomic_ref(const_cast<std::uint32_t&>(head_)).load(std::memory_order_acquire);
  }
  [[nodiscard]] bool has_aside() const noexcept { return !aside_.empty(); }
  /// How many CQEs were posted until now, with those that were kept aside.
  [[nodiscard]] std::uint64_t posted() const noexcept { return posted_; }

 private:
  [[nodiscard]] bool has_room() const noexcept { return aside_.empty() && ready() < entries_; }
  bool grow(std::size_t count) noexcept;
  void put(const Cqe& cqe) noexcept;
  void keep_aside(const Cqe& cqe) noexcept;
  void tell_overflow() noexcept;
  void tell_no_overflow() noexcept;

  std::uint32_t head_ = 0;  // the reader's
  std::uint32_t tail_ = 0;
  std::uint32_t entries_ = 0;
  std::uint32_t* sq_flags_ = nullptr;
  std::unique_ptr<Cqe[]> cqes_;
  std::vector<Cqe> aside_;
  std::size_t first_aside_ = 0;  // those before it have been moved
  std::uint64_t posted_ = 0;
};

}  // namespace corering::emulation
