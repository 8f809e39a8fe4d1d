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

constexpr std::uint32_t batch_size = 64;              // frames that travel together
constexpr std::size_t depot_limit_bytes = 16U << 20;  // what the depot keeps, per class

/// A freed frame, used as a list node.
struct FreeFrame {
  FreeFrame* next;
  FreeFrame* next_batch;
};
static_assert(sizeof(FreeFrame) <= frame_granule);

// Freed frames look freed to the address sanitizer although malloc does not know. The list's own two words
// stay readable.
void poison([[maybe_unused]] FreeFrame* frame, [[maybe_unused]] std::size_t size) noexcept {
#if defined(CORERING_ASAN)
  ASAN_POISON_MEMORY_REGION(reinterpret_cast<char*>(frame) + sizeof(FreeFrame), size - sizeof(FreeFrame));
#endif
}
void unpoison([[maybe_unused]] void* frame, [[maybe_unused]] std::size_t size) noexcept {
#if defined(CORERING_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(frame, size);
#endif
}

constexpr std::size_t bytes_of(std::size_t size_class) noexcept { return (size_class + 1) * frame_granule; }

void release(FreeFrame* frame, std::size_t size_class) noexcept {
  unpoison(frame, bytes_of(size_class));
  ::operator delete(frame, bytes_of(size_class));
}

void release_list(FreeFrame* list, std::size_t size_class) noexcept {
  while (list != nullptr) {
    FreeFrame* const next = list->next;
    release(list, size_class);
    list = next;
  }
}

/// Full batches that no thread holds. Never destroyed: threads may end after main has.
class Depot {
 public:
  /// A list of batch_size frames, or null.
  FreeFrame* take(std::size_t size_class) noexcept {
    Shelf& shelf = shelves_[size_class];
    const std::lock_guard lock(shelf.mutex);
    FreeFrame* const batch = shelf.batches;
    if (batch != nullptr) {
      shelf.batches = batch->next_batch;
      --shelf.count;
    }
    return batch;
  }

  /// Keeps the batch, or releases it when the shelf is full.
  void give(FreeFrame* batch, std::size_t size_class) noexcept {
    if (!keep(batch, size_class)) release_list(batch, size_class);
  }

 private:
  struct Shelf {
    std::mutex mutex;
    FreeFrame* batches = nullptr;
    std::size_t count = 0;
  };

  bool keep(FreeFrame* batch, std::size_t size_class) noexcept {
    Shelf& shelf = shelves_[size_class];
    const std::lock_guard lock(shelf.mutex);
    if ((shelf.count + 1) * batch_size * bytes_of(size_class) > depot_limit_bytes) return false;
    batch->next_batch = shelf.batches;
    shelf.batches = batch;
    ++shelf.count;
    return true;
  }

  std::array<Shelf, frame_class_count> shelves_;
};

Depot& depot() noexcept {
  static Depot& instance = *new Depot;
  return instance;
}

/// What one thread keeps of one class.
struct Magazine {
  FreeFrame* frames = nullptr;
  std::uint32_t count = 0;
};

/// All that one thread keeps. Of each class a full batch besides, so that a thread on the edge of a batch
/// does not bounce on the depot.
struct ThreadCache {
  std::array<Magazine, frame_class_count> magazines;
  std::array<FreeFrame*, frame_class_count> full_batches{};
};

/// Stands for a cache where there is none: nothing to take, and no room to put.
constexpr ThreadCache make_nothing() noexcept {
  ThreadCache nothing;
  for (Magazine& magazine : nothing.magazines) magazine.count = batch_size;
  return nothing;
}
constinit ThreadCache nothing = make_nothing();

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
      FreeFrame* const full_batch = watched_->full_batches[size_class];
      if (full_batch != nullptr) depot().give(full_batch, size_class);
      release_list(watched_->magazines[size_class].frames, size_class);
    }
  }

 private:
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

[[gnu::noinline]] void* allocate_slowly(std::size_t size_class) {
  FreeFrame* batch = nullptr;
  if (ThreadCache* const own = own_cache(); own != nullptr) {
    batch = std::exchange(own->full_batches[size_class], nullptr);
    if (batch == nullptr) batch = depot().take(size_class);
    if (batch != nullptr) own->magazines[size_class] = {.frames = batch->next, .count = batch_size - 1};
  }
  if (batch == nullptr) return ::operator new(bytes_of(size_class));
  unpoison(batch, bytes_of(size_class));
  return batch;
}

// The magazine is full, or there is none.
[[gnu::noinline]] void free_slowly(FreeFrame* frame, std::size_t size_class) noexcept {
  ThreadCache* const own = own_cache();
  if (own == nullptr) return ::operator delete(frame, bytes_of(size_class));
  Magazine& magazine = own->magazines[size_class];
  if (magazine.count == batch_size) {
    FreeFrame*& full_batch = own->full_batches[size_class];
    if (full_batch != nullptr) depot().give(full_batch, size_class);
    full_batch = std::exchange(magazine.frames, nullptr);
    magazine.count = 0;
  }
  frame->next = std::exchange(magazine.frames, frame);
  ++magazine.count;
  poison(frame, bytes_of(size_class));
}

}  // namespace

// noinline: these read a thread_local, whose address a compiler must not carry over a suspension.
[[gnu::noinline]] void* detail::allocate_frame(std::size_t size_class) {
  Magazine& magazine = cache->magazines[size_class];
  FreeFrame* const frame = magazine.frames;
  if (frame == nullptr) [[unlikely]]
    return allocate_slowly(size_class);
  magazine.frames = frame->next;
  --magazine.count;
  unpoison(frame, bytes_of(size_class));
  return frame;
}

[[gnu::noinline]] void detail::free_frame(void* memory, std::size_t size_class) noexcept {
  auto* const frame = static_cast<FreeFrame*>(memory);
  Magazine& magazine = cache->magazines[size_class];
  if (magazine.count == batch_size) [[unlikely]]
    return free_slowly(frame, size_class);
  frame->next = magazine.frames;
  magazine.frames = frame;
  ++magazine.count;
  poison(frame, bytes_of(size_class));
}

}  // namespace corering
