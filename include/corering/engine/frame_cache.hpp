/// frame_cache.hpp — where coroutine frames come from.
///
/// It serves frames up to 8 KiB; larger ones come from operator new. Each thread keeps freed frames by size
/// and hands them out again without a lock. If a frame dies on another thread than the one that made it, the
/// thread where it dies keeps it. If a thread has too many, they go back through a shared depot, many frames
/// at a time. So when frames flow from one thread to another, they do not pile up, and no lock is paid per
/// frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include <corering/base/assert.hpp>
#include <corering/base/thread_word.hpp>

namespace corering {

namespace detail {

inline constexpr std::size_t frame_granule = 32;
inline constexpr std::size_t frame_class_count = 256;  // a frame of 1 to 32 bytes is of class 0, and so on

/// Free frames of one class; the last one in is the first one out. Their addresses lie next to each other. If
/// a list went through the frames themselves, each step would wait for memory that another processor has
/// used.
struct Magazine {
  static constexpr std::uint32_t most = 62;  // this fills eight cache lines

  [[nodiscard]] bool is_full() const noexcept { return count == capacity; }

  std::uint32_t count = 0;
  std::uint32_t capacity = most;
  Magazine* next = nullptr;  // the next one in the depot
  std::array<void*, most> frames;
};

/// What one thread keeps of one size class.
struct Magazines {
  Magazine* loaded;  ///< may be one that never has room for anything
  Magazine* spare;   ///< full, empty or null; a thread at the edge swaps the two and spares the depot
};

/// The calling thread's magazines, by class. In a library that was built for the address sanitizer they are
/// always empty, and everything goes the slow way, which tells the sanitizer what is free.
[[nodiscard]] Magazines* find_frame_cache() noexcept;
[[nodiscard, gnu::always_inline]] inline Magazines* frame_cache_here() noexcept {
  return static_cast<Magazines*>(CORERING_THREAD_WORD("corering_frame_cache", find_frame_cache()));
}

/// For when the loaded magazine is empty, or full.
[[nodiscard]] void* allocate_slowly(std::size_t size_class);
void free_slowly(void* frame, std::size_t size_class) noexcept;

[[nodiscard]] inline void* allocate_of_class(std::size_t size_class) {
  Magazine& magazine = *frame_cache_here()[size_class].loaded;
  if (magazine.count == 0) [[unlikely]]
    return allocate_slowly(size_class);
  CORERING_DEBUG_ASSERT(magazine.count <= magazine.capacity, "a magazine holds at most its capacity");
  return magazine.frames[--magazine.count];
}

inline void free_of_class(void* frame, std::size_t size_class) noexcept {
  Magazine& magazine = *frame_cache_here()[size_class].loaded;
  if (magazine.is_full()) [[unlikely]]
    return free_slowly(frame, size_class);
  CORERING_DEBUG_ASSERT(frame != nullptr, "a frame that is freed was allocated");
  magazine.frames[magazine.count++] = frame;
}

}  // namespace detail

/// Returns memory for a frame of `size` bytes, at least 1, aligned like that of operator new. It is inline
/// because the size is a constant for a coroutine.
/// errors: throws std::bad_alloc
[[nodiscard]] inline void* allocate_frame(std::size_t size) {
  const std::size_t size_class = (size - 1) / detail::frame_granule;
  return size_class < detail::frame_class_count ? detail::allocate_of_class(size_class)
                                                : ::operator new(size);
}

/// Takes a frame back; `size` is what was asked for.
/// thread: any
inline void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t size_class = (size - 1) / detail::frame_granule;
  if (size_class < detail::frame_class_count) {
    detail::free_of_class(frame, size_class);
  } else {
    ::operator delete(frame, size);
  }
}

namespace detail {

// clang gives a frame the alignment of what lies in it only with -fcoro-aligned-allocation, which the CMake
// option CORERING_ALIGNED_FRAMES adds; g++ 12 never does.
#if defined(CORERING_ALIGNED_FRAMES)
inline constexpr std::size_t largest_alignment_in_a_frame = 4096;
#else
inline constexpr std::size_t largest_alignment_in_a_frame = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
#endif

/// Refuses a type that a frame could not align. A result lies in the frame of the coroutine that returns it,
/// and in the frame of the one that awaits it.
template <class T>
consteval bool require_alignment_of_a_frame() {
  static_assert(
      alignof(T) <= largest_alignment_in_a_frame,
      "a coroutine's frame cannot align this type, which needs more than operator new gives: return "
      "a std::unique_ptr, or compile with clang and the CMake option CORERING_ALIGNED_FRAMES "
      "(docs/MEMORY.md)");
  return true;
}

}  // namespace detail

/// The base of every promise of the library: the frames of its coroutines come from the cache. With the
/// option, frames that need more alignment come from operator new; the alignment of a frame is a constant.
struct CachedFrame {
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
#if defined(CORERING_ALIGNED_FRAMES)
  static void* operator new(std::size_t size, std::align_val_t alignment) {
    return is_usual(alignment) ? allocate_frame(size) : ::operator new(size, alignment);
  }
  static void operator delete(void* frame, std::size_t size, std::align_val_t alignment) noexcept {
    is_usual(alignment) ? free_frame(frame, size) : ::operator delete(frame, size, alignment);
  }
  static constexpr bool is_usual(std::align_val_t alignment) noexcept {
    return static_cast<std::size_t>(alignment) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  }
#endif
};

}  // namespace corering
