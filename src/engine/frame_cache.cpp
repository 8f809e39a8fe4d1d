/// frame_cache.cpp — thread-local magazines over a shared depot.
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include <corering/engine/frame_cache.hpp>

#include "base/immortal.hpp"
#include "base/kernel_memory.hpp"
#include "engine/frame_memory.hpp"

#if defined(CORERING_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace corering {
namespace {

using detail::frame_class_count;
using detail::frame_granule;
using detail::Magazine;
using detail::Magazines;

constexpr std::size_t depot_limit_bytes = 16U << 20;  // how much the depot keeps, per class

constexpr std::size_t bytes_of(std::size_t size_class) noexcept { return (size_class + 1) * frame_granule; }

constexpr bool sanitized = kernel_memory::is_watched;

// The address sanitizer sees freed frames as freed, although malloc does not know that they are.
void poison([[maybe_unused]] void* frame, [[maybe_unused]] std::size_t size_class) noexcept {
#if defined(CORERING_ASAN)
  kernel_memory::forget(frame, bytes_of(size_class));
  ASAN_POISON_MEMORY_REGION(frame, bytes_of(size_class));
#endif
}
void unpoison([[maybe_unused]] void* frame, [[maybe_unused]] std::size_t size_class) noexcept {
#if defined(CORERING_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(frame, bytes_of(size_class));
#endif
}

void release_frames(Magazine& magazine, std::size_t size_class) noexcept {
  while (magazine.count > 0) {
    void* const frame = magazine.frames[--magazine.count];
    unpoison(frame, size_class);
    ::operator delete(frame, bytes_of(size_class));
  }
}

/// Magazines that no thread holds: full ones by class, and empty ones.
class Depot {
 public:
  /// Returns a full magazine, or null.
  Magazine* take_full(std::size_t size_class) noexcept { return shelves_[size_class].take(); }
  /// Keeps the magazine or, when the shelf is full, releases the frames in it.
  void give_full(Magazine& magazine, std::size_t size_class) noexcept {
    if (shelves_[size_class].give(magazine, depot_limit_bytes / (Magazine::most * bytes_of(size_class))))
      return;
    release_frames(magazine, size_class);
    give_empty(magazine);
  }

  /// Returns an empty magazine, or null if there is no memory.
  Magazine* take_empty() noexcept {
    Magazine* const magazine = empty_.take();
    return magazine != nullptr ? magazine : new (std::nothrow) Magazine;
  }
  void give_empty(Magazine& magazine) noexcept { (void)empty_.give(magazine, SIZE_MAX); }

 private:
  class Shelf {
   public:
    Magazine* take() noexcept {
      const std::lock_guard lock(mutex_);
      if (first_ == nullptr) return nullptr;
      --count_;
      return std::exchange(first_, first_->next);
    }
    bool give(Magazine& magazine, std::size_t limit) noexcept {
      const std::lock_guard lock(mutex_);
      if (count_ >= limit) return false;
      ++count_;
      magazine.next = std::exchange(first_, &magazine);
      return true;
    }

   private:
    std::mutex mutex_;
    Magazine* first_ = nullptr;
    std::size_t count_ = 0;
  };

  std::array<Shelf, frame_class_count> shelves_;
  Shelf empty_;
};

Depot& depot() noexcept {
  static constinit Immortal<Depot> instance;
  return instance.object;
}

/// Stands for a magazine where there is none: there is nothing to take, and no room to put anything.
constinit Magazine no_magazine{.count = 0, .capacity = 0, .next = nullptr, .frames = {}};

using ThreadCache = std::array<Magazines, frame_class_count>;

constinit ThreadCache nothing = [] {
  ThreadCache cache{};
  cache.fill({.loaded = &no_magazine, .spare = nullptr});
  return cache;
}();

}  // namespace

// This is a pointer, because initial-exec, which is found without a call, is only for small things. Outside
// of this file, CORERING_THREAD_WORD reads it, and optimisation at link time does not see that: hence "used".
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Magazines* frame_cache __asm__(
    "corering_frame_cache");
[[gnu::used, gnu::tls_model("initial-exec")]] constinit thread_local Magazines* frame_cache = nothing.data();

namespace {

constinit thread_local ThreadCache* own_cache = nullptr;
constinit thread_local bool makes_no_cache = false;          // the thread is ending, or a simulation is asked
constinit thread_local FrameMemory* asked_memory = nullptr;  // of a simulation
constinit thread_local ThreadCache* hidden_cache = nullptr;  // while that is asked

/// Inlined code elsewhere finds these magazines from now on. Where it must not use any, it keeps finding
/// `nothing`.
void show(Magazines* magazines) noexcept {
  if (sanitized) return;
  frame_cache = magazines;
  thread_word_written();
}

/// Gives the cache back when its thread ends. What that thread frees later goes to operator delete.
class Reaper {
 public:
  explicit Reaper(ThreadCache* watched) noexcept : watched_(watched) {}
  Reaper(Reaper&&) = delete;
  ~Reaper() {
    show(nothing.data());
    own_cache = nullptr;
    makes_no_cache = true;
    for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
      const Magazines& pair = (*watched_)[size_class];
      if (pair.loaded != &no_magazine) give(*pair.loaded, size_class);
      if (pair.spare != nullptr) give(*pair.spare, size_class);
    }
  }

 private:
  static void give(Magazine& magazine, std::size_t size_class) noexcept {
    if (magazine.is_full()) return depot().give_full(magazine, size_class);
    release_frames(magazine, size_class);
    depot().give_empty(magazine);
  }

  const std::unique_ptr<ThreadCache> watched_;
};

/// Returns the thread's cache, which is made when it is first needed. Returns null if there is no memory, or
/// if the thread is ending or a simulation is asked.
ThreadCache* find_own_cache() noexcept {
  if (own_cache != nullptr || makes_no_cache) return own_cache;
  auto* const made = new (std::nothrow) ThreadCache(nothing);
  if (made == nullptr) return nullptr;
  static thread_local const Reaper reaper(made);
  show(made->data());
  return own_cache = made;
}

/// Loads a magazine that has frames. Returns false if there is none.
bool load_frames(Magazines& pair, std::size_t size_class) noexcept {
  if (pair.spare != nullptr && pair.spare->is_full()) {
    std::swap(pair.loaded, pair.spare);
    return true;
  }
  Magazine* const full = depot().take_full(size_class);
  if (full == nullptr) return false;
  Magazine* const emptied = std::exchange(pair.loaded, full);
  if (emptied == &no_magazine) return true;
  if (pair.spare == nullptr) {
    pair.spare = emptied;
  } else {
    depot().give_empty(*emptied);
  }
  return true;
}

/// Loads a magazine that has room. Returns false if there is no memory.
bool load_room(Magazines& pair, std::size_t size_class) noexcept {
  if (pair.spare != nullptr && !pair.spare->is_full()) {
    std::swap(pair.loaded, pair.spare);
    return true;
  }
  Magazine* const empty = depot().take_empty();
  if (empty == nullptr) return false;
  if (pair.spare != nullptr) depot().give_full(*pair.spare, size_class);
  pair.spare = pair.loaded != &no_magazine ? pair.loaded : nullptr;
  pair.loaded = empty;
  return true;
}

// Who has a cache is not asked, and pays nothing for the question.
[[gnu::noinline, gnu::cold]] void* allocate_without_cache(std::size_t size_class) {
  if (asked_memory != nullptr && !asked_memory->is_there()) throw std::bad_alloc();
  return ::operator new(bytes_of(size_class));
}

}  // namespace

[[gnu::noinline]] Magazines* detail::find_frame_cache() noexcept { return frame_cache; }

// The thread is without a cache then, so that every frame comes from operator new. A check on the way through
// the cache would cost three instructions for every frame that goes there.
FrameMemory::Asked::Asked(FrameMemory& memory) noexcept : made_none_before_(makes_no_cache) {
  CORERING_ASSERT(asked_memory == nullptr, "one simulation decides about the memory of a thread");
  show(nothing.data());
  hidden_cache = std::exchange(own_cache, nullptr);
  makes_no_cache = true;
  asked_memory = &memory;
}

FrameMemory::Asked::~Asked() {
  asked_memory = nullptr;
  makes_no_cache = made_none_before_;
  own_cache = std::exchange(hidden_cache, nullptr);
  if (own_cache != nullptr) show(own_cache->data());
}

void* detail::allocate_slowly(std::size_t size_class) {
  ThreadCache* const own = find_own_cache();
  if (own == nullptr) [[unlikely]]
    return allocate_without_cache(size_class);
  Magazines& pair = (*own)[size_class];
  if (pair.loaded->count > 0 || load_frames(pair, size_class)) {
    void* const frame = pair.loaded->frames[--pair.loaded->count];
    unpoison(frame, size_class);
    return frame;
  }
  return ::operator new(bytes_of(size_class));
}

void detail::free_slowly(void* frame, std::size_t size_class) noexcept {
  if (ThreadCache* const own = find_own_cache(); own != nullptr) {
    Magazines& pair = (*own)[size_class];
    if (!pair.loaded->is_full() || load_room(pair, size_class)) {
      pair.loaded->frames[pair.loaded->count++] = frame;
      poison(frame, size_class);
      return;
    }
  }
  ::operator delete(frame, bytes_of(size_class));
}

}  // namespace corering
