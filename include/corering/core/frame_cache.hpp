/// frame_cache.hpp — where coroutine frames come from.
///
/// For frames up to 8 KiB; larger ones come from operator new.
/// Each thread keeps freed frames by size and hands them out again without a lock. A frame that dies on
/// another thread than the one that made it is kept there; surplus goes back through a shared depot, many at
/// a time, so a flow of frames from one thread to another neither piles up nor pays a lock per frame.
#pragma once

#include <cstddef>
#include <new>

namespace corering {

namespace detail {

inline constexpr std::size_t frame_granule = 32;
inline constexpr std::size_t frame_class_count = 256;

/// By class: a frame of 1 to 32 bytes is of class 0, and so on.
[[nodiscard]] void* allocate_frame(std::size_t size_class);
void free_frame(void* frame, std::size_t size_class) noexcept;

}  // namespace detail

/// Memory for a frame of `size` bytes, at least 1, aligned as operator new's. Throws std::bad_alloc. Inline:
/// for a coroutine the size is a constant.
[[nodiscard]] inline void* allocate_frame(std::size_t size) {
  const std::size_t size_class = (size - 1) / detail::frame_granule;
  return size_class < detail::frame_class_count ? detail::allocate_frame(size_class) : ::operator new(size);
}

/// Takes a frame back, on any thread; `size` as it was asked for.
inline void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t size_class = (size - 1) / detail::frame_granule;
  if (size_class < detail::frame_class_count) {
    detail::free_frame(frame, size_class);
  } else {
    ::operator delete(frame, size);
  }
}

/// Base of every promise of the library: its coroutines' frames come from the cache.
struct CachedFrame {
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

}  // namespace corering
