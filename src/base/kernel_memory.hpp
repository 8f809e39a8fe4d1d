/// kernel_memory.hpp — for the address sanitizer: memory that a simulated kernel will write to, which the
/// program must not touch meanwhile.
///
/// Only whole granules of the sanitizer (8 bytes) are watched. Without the sanitizer, nothing here does
/// anything.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define CORERING_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORERING_ASAN 1
#endif
#endif

namespace corering::kernel_memory {

#if defined(CORERING_ASAN)
inline constexpr bool is_watched = true;
#else
inline constexpr bool is_watched = false;
#endif

/// From now on whoever touches this memory is reported. Several requests may have the same memory.
/// thread: the world's, as with the others
void take(const void* begin, std::size_t size);
/// One request has it no longer. What the program has freed meanwhile stays forbidden.
void give_back(const void* begin, std::size_t size) noexcept;
/// It was freed, whoever has it.
void forget(const void* begin, std::size_t size) noexcept;

/// While it lives, the kernel itself touches this memory.
class Lifted {
 public:
  Lifted(const void* begin, std::size_t size) noexcept : begin_(begin), size_(size) {
    if constexpr (is_watched) allow();
  }
  Lifted(Lifted&&) = delete;
  ~Lifted() {
    if constexpr (is_watched) forbid_again();
  }

 private:
  void allow() const noexcept;
  void forbid_again() const noexcept;

  const void* begin_;
  std::size_t size_;
};

}  // namespace corering::kernel_memory
