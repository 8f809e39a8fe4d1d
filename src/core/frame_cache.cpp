/// frame_cache.cpp — thread-local magazines over a shared depot.
#include <array>
#include <cstdint>
#include <mutex>
#include <new>

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

constexpr std::size_t granule = 64;
constexpr std::size_t class_count = 128;              // frames up to 8 KiB; larger ones are malloc's business
constexpr std::uint32_t batch_size = 64;              // frames that travel together
constexpr std::size_t depot_limit_bytes = 16U << 20;  // what the depot keeps, per class

/// A freed frame, used as a list node.
struct FreeFrame {
  FreeFrame* next;
  FreeFrame* next_batch;
};
static_assert(sizeof(FreeFrame) <= granule);

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

constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / granule; }
constexpr std::size_t bytes_of(std::size_t size_class) noexcept { return (size_class + 1) * granule; }

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

  std::array<Shelf, class_count> shelves_;
};

Depot& depot() noexcept {
  static Depot& instance = *new Depot;
  return instance;
}

/// What one thread keeps of one class: two lists, so that a thread on the edge of a batch does not bounce on
/// the depot.
struct Magazine {
  FreeFrame* frames;
  std::uint32_t count;
  FreeFrame* full_batch;
};

/// Trivial on purpose: reading it needs no guard. The Reaper below empties it when the thread ends.
struct ThreadCache {
  enum class Phase : std::uint8_t { unwatched, watched, ended };
  std::array<Magazine, class_count> magazines;
  Phase phase;
};

constinit thread_local ThreadCache cache{};

struct Reaper {
  ~Reaper() {
    for (std::size_t size_class = 0; size_class < class_count; ++size_class) {
      Magazine& magazine = cache.magazines[size_class];
      if (magazine.full_batch != nullptr) depot().give(magazine.full_batch, size_class);
      release_list(magazine.frames, size_class);
      magazine = {};
    }
    cache.phase = ThreadCache::Phase::ended;
  }
  void watch() const noexcept {}
};

/// True when the thread may keep frames: from its first one on they are given back when it ends, and after
/// that no more.
bool keeps_frames() noexcept {
  if (cache.phase == ThreadCache::Phase::watched) [[likely]]
    return true;
  if (cache.phase == ThreadCache::Phase::ended) return false;
  cache.phase = ThreadCache::Phase::watched;
  static thread_local const Reaper reaper;
  reaper.watch();
  return true;
}

FreeFrame* refill(Magazine& magazine, std::size_t size_class) noexcept {
  if (!keeps_frames()) return nullptr;
  FreeFrame* batch = magazine.full_batch != nullptr ? magazine.full_batch : depot().take(size_class);
  magazine.full_batch = nullptr;
  if (batch == nullptr) return nullptr;
  magazine.frames = batch->next;
  magazine.count = batch_size - 1;
  return batch;
}

void put_batch_aside(Magazine& magazine, std::size_t size_class) noexcept {
  if (magazine.full_batch != nullptr) depot().give(magazine.full_batch, size_class);
  magazine.full_batch = magazine.frames;
  magazine.frames = nullptr;
  magazine.count = 0;
}

}  // namespace

// noinline: these read a thread_local, whose address a compiler must not carry over a suspension.
[[gnu::noinline]] void* allocate_frame(std::size_t size) {
  const std::size_t size_class = class_of(size);
  if (size_class >= class_count) [[unlikely]]
    return ::operator new(size);
  Magazine& magazine = cache.magazines[size_class];
  FreeFrame* frame = magazine.frames;
  if (frame != nullptr) [[likely]] {
    magazine.frames = frame->next;
    --magazine.count;
  } else {
    frame = refill(magazine, size_class);
    if (frame == nullptr) return ::operator new(bytes_of(size_class));
  }
  unpoison(frame, bytes_of(size_class));
  return frame;
}

[[gnu::noinline]] void free_frame(void* memory, std::size_t size) noexcept {
  const std::size_t size_class = class_of(size);
  if (size_class >= class_count) [[unlikely]]
    return ::operator delete(memory, size);
  auto* const frame = static_cast<FreeFrame*>(memory);
  if (!keeps_frames()) [[unlikely]]
    return ::operator delete(memory, bytes_of(size_class));
  Magazine& magazine = cache.magazines[size_class];
  if (magazine.count == batch_size) [[unlikely]]
    put_batch_aside(magazine, size_class);
  frame->next = magazine.frames;
  magazine.frames = frame;
  ++magazine.count;
  poison(frame, bytes_of(size_class));
}

}  // namespace corering
