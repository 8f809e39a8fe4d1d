/// frame_cache.cpp — thread-local magazines over a shared depot.
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include <corering/core/frame_cache.hpp>

#if defined(__SANITIZE_ADDRESS__)
#define CORERING_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORERING_ASAN 1
#endif
#endif
#if defined(CORERING_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace corering {
namespace {

using detail::frame_class_count;
using detail::frame_granule;

constexpr std::size_t depot_limit_bytes = 16U << 20;  // what the depot keeps, per class

constexpr std::size_t bytes_of(std::size_t size_class) noexcept { return (size_class + 1) * frame_granule; }

// Freed frames look freed to the address sanitizer although malloc does not know.
void poison([[maybe_unused]] void* frame, [[maybe_unused]] std::size_t size_class) noexcept {
#if defined(CORERING_ASAN)
  ASAN_POISON_MEMORY_REGION(frame, bytes_of(size_class));
#endif
}
void unpoison([[maybe_unused]] void* frame, [[maybe_unused]] std::size_t size_class) noexcept {
#if defined(CORERING_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(frame, bytes_of(size_class));
#endif
}

/// Free frames of one class, the last one in being the first one out. Their addresses lie side by side: in a
/// list that runs through the frames themselves each step would wait for memory that another processor has
/// used.
struct Magazine {
  static constexpr std::uint32_t most = 62;  // which fills eight cache lines

  [[nodiscard]] bool full() const noexcept { return count == capacity; }

  std::uint32_t count = 0;
  std::uint32_t capacity = most;
  Magazine* next = nullptr;  // in the depot
  std::array<void*, most> frames;
};

void release_frames(Magazine& magazine, std::size_t size_class) noexcept {
  while (magazine.count > 0) {
    void* const frame = magazine.frames[--magazine.count];
    unpoison(frame, size_class);
    ::operator delete(frame, bytes_of(size_class));
  }
}

/// Magazines that no thread holds: full ones by class, and empty ones. Never destroyed: threads may end after
/// main has.
class Depot {
 public:
  /// A full one, or null.
  Magazine* take_full(std::size_t size_class) noexcept { return shelves_[size_class].take(); }
  /// Keeps it, or releases what is in it when the shelf is full.
  void give_full(Magazine& magazine, std::size_t size_class) noexcept {
    if (shelves_[size_class].give(magazine, depot_limit_bytes / (Magazine::most * bytes_of(size_class))))
      return;
    release_frames(magazine, size_class);
    give_empty(magazine);
  }

  /// An empty one; null for want of memory.
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
  static Depot& instance = *new Depot;
  return instance;
}

/// Stands for a magazine where there is none: nothing to take, and no room to put.
constinit Magazine no_magazine{.count = 0, .capacity = 0, .next = nullptr, .frames = {}};

/// What one thread keeps of one class.
struct Pair {
  Magazine* loaded = &no_magazine;
  Magazine* spare = nullptr;  ///< full or empty, so that a thread on the edge does not bounce on the depot
};
using ThreadCache = std::array<Pair, frame_class_count>;

constinit ThreadCache nothing;

// A pointer, because initial-exec, which is found without a call, is for small things only.
[[gnu::tls_model("initial-exec")]] constinit thread_local ThreadCache* cache = &nothing;

constinit thread_local bool thread_is_ending = false;

/// Gives the cache back when its thread ends; what that thread frees later goes to operator delete.
class Reaper {
 public:
  explicit Reaper(ThreadCache* watched) noexcept : watched_(watched) {}
  Reaper(Reaper&&) = delete;
  ~Reaper() {
    cache = &nothing;
    thread_is_ending = true;
    for (std::size_t size_class = 0; size_class < frame_class_count; ++size_class) {
      const Pair& pair = (*watched_)[size_class];
      if (pair.loaded != &no_magazine) give(*pair.loaded, size_class);
      if (pair.spare != nullptr) give(*pair.spare, size_class);
    }
  }

 private:
  static void give(Magazine& magazine, std::size_t size_class) noexcept {
    if (magazine.full()) return depot().give_full(magazine, size_class);
    release_frames(magazine, size_class);
    depot().give_empty(magazine);
  }

  const std::unique_ptr<ThreadCache> watched_;
};

/// The thread's cache, made when it is needed first; null for want of memory, or when the thread is ending.
ThreadCache* own_cache() noexcept {
  if (cache != &nothing) return cache;
  if (thread_is_ending) return nullptr;
  auto* const made = new (std::nothrow) ThreadCache;
  if (made == nullptr) return nullptr;
  static thread_local const Reaper reaper(made);
  return cache = made;
}

/// Loads a magazine that has frames; false when there is none to be had.
bool load_frames(Pair& pair, std::size_t size_class) noexcept {
  if (pair.spare != nullptr && pair.spare->full()) {
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

/// Loads a magazine that has room; false for want of memory.
bool load_room(Pair& pair, std::size_t size_class) noexcept {
  if (pair.spare != nullptr && !pair.spare->full()) {
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

// The magazine is empty, or there is none.
[[gnu::noinline]] void* allocate_slowly(std::size_t size_class) {
  ThreadCache* const own = own_cache();
  if (own != nullptr && load_frames((*own)[size_class], size_class))
    return detail::allocate_frame(size_class);
  return ::operator new(bytes_of(size_class));
}

// The magazine is full, or there is none.
[[gnu::noinline]] void free_slowly(void* frame, std::size_t size_class) noexcept {
  ThreadCache* const own = own_cache();
  if (own != nullptr && load_room((*own)[size_class], size_class))
    return detail::free_frame(frame, size_class);
  ::operator delete(frame, bytes_of(size_class));
}

}  // namespace

// noinline: these read a thread_local, whose address a compiler must not carry over a suspension.
[[gnu::noinline]] void* detail::allocate_frame(std::size_t size_class) {
  Magazine& magazine = *(*cache)[size_class].loaded;
  if (magazine.count == 0) [[unlikely]]
    return allocate_slowly(size_class);
  void* const frame = magazine.frames[--magazine.count];
  unpoison(frame, size_class);
  return frame;
}

[[gnu::noinline]] void detail::free_frame(void* frame, std::size_t size_class) noexcept {
  Magazine& magazine = *(*cache)[size_class].loaded;
  if (magazine.full()) [[unlikely]]
    return free_slowly(frame, size_class);
  magazine.frames[magazine.count++] = frame;
  poison(frame, size_class);
}

}  // namespace corering
