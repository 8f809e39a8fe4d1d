/// frame_cache.hpp — where coroutine frames come from.
///
/// For frames up to 8 KiB; larger ones come from operator new.
/// Each thread keeps freed frames by size and hands them out again without a lock. A frame that dies on
/// another thread than the one that made it is kept there; surplus goes back through a shared depot in
/// batches, so a flow of frames from one thread to another neither piles up nor pays a lock per frame.
#pragma once

#include <cstddef>

namespace corering {

/// Memory for a frame of `size` bytes, aligned as operator new's. Throws std::bad_alloc.
[[nodiscard]] void* allocate_frame(std::size_t size);

/// Takes a frame back, on any thread; `size` as it was asked for.
void free_frame(void* frame, std::size_t size) noexcept;

/// Base of every promise of the library: its coroutines' frames come from the cache.
struct CachedFrame {
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

}  // namespace corering
