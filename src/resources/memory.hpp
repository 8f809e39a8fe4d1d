/// memory.hpp — pages for buffers that the kernel uses.
#pragma once

#include <cstddef>
#include <sys/mman.h>

namespace corering::detail {

/// Owns anonymous pages, and unmaps them at the end.
class Memory {
 public:
  Memory() noexcept = default;
  Memory(Memory&&) = delete;
  ~Memory() {
    if (address_ != nullptr) ::munmap(address_, length_);
  }

  /// Maps huge pages if they are asked for and any are reserved (vm.nr_hugepages). If none are, the kernel
  /// may still merge the ordinary pages.
  bool map(std::size_t bytes, bool huge) noexcept {
    if (huge && map_with(round_up(bytes, huge_page), MAP_HUGETLB)) return is_huge_ = true;
    if (!map_with(round_up(bytes, page), 0)) return false;
    if (huge) ::madvise(address_, length_, MADV_HUGEPAGE);
    return true;
  }

  [[nodiscard]] void* address() const noexcept { return address_; }
  [[nodiscard]] bool is_huge() const noexcept { return is_huge_; }

 private:
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  static std::size_t round_up(std::size_t bytes, std::size_t to) noexcept {
    return (bytes + to - 1) / to * to;
  }

  bool map_with(std::size_t length, int flags) noexcept {
    void* const mapped =
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (mapped == MAP_FAILED) return false;
    address_ = mapped;
    length_ = length;
    return true;
  }

  void* address_ = nullptr;
  std::size_t length_ = 0;
  bool is_huge_ = false;
};

}  // namespace corering::detail
