/// kernel_memory.cpp — which memory simulated kernels have on this thread, and how the sanitizer is told.
#include "base/kernel_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <corering/base/assert.hpp>

#if defined(CORERING_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace corering::kernel_memory {
namespace {

constexpr std::uintptr_t granule = 8;

/// Whole granules: a partial one may begin with memory of somebody else.
struct Range {
  Range(const void* from, std::size_t size) noexcept
      : begin((reinterpret_cast<std::uintptr_t>(from) + granule - 1) / granule * granule),
        end((reinterpret_cast<std::uintptr_t>(from) + size) / granule * granule) {}

  /// And the partial granules at its ends.
  static Range around(const void* from, std::size_t size) noexcept {
    Range range(from, size);
    range.begin = reinterpret_cast<std::uintptr_t>(from) / granule * granule;
    range.end = (reinterpret_cast<std::uintptr_t>(from) + size + granule - 1) / granule * granule;
    return range;
  }

  [[nodiscard]] bool is_empty() const noexcept { return begin >= end; }
  [[nodiscard]] bool operator==(const Range&) const noexcept = default;
  [[nodiscard]] Range common_with(const Range& other) const noexcept {
    Range common = *this;
    common.begin = std::max(begin, other.begin);
    common.end = std::min(end, other.end);
    return common;
  }

  std::uintptr_t begin;
  std::uintptr_t end;
};

// Frames are freed at the end of a thread, too, when the list has gone.
constinit thread_local bool has_taken_any = false;

std::vector<Range>& taken() noexcept {
  static thread_local std::vector<Range> all;
  return all;
}

constexpr unsigned char nobodys = 0;
constexpr unsigned char forbidden_by_user = 0xf7;

// Only what has the mark `from`: what was freed has another one, and must keep it, because a kernel that
// writes there is to be reported.
[[gnu::no_sanitize_address]] void mark([[maybe_unused]] const Range& range,
                                       [[maybe_unused]] unsigned char from,
                                       [[maybe_unused]] unsigned char to) noexcept {
#if defined(CORERING_ASAN)
  std::size_t scale = 0, offset = 0;
  __asan_get_shadow_mapping(&scale, &offset);
  for (std::uintptr_t at = range.begin; at < range.end; at += granule) {
    auto* const shadow = reinterpret_cast<unsigned char*>((at >> scale) + offset);
    if (*shadow == from) *shadow = to;
  }
#endif
}

void forbid(const Range& range) noexcept { mark(range, nobodys, forbidden_by_user); }
void allow(const Range& range) noexcept { mark(range, forbidden_by_user, nobodys); }

void forbid_again(const Range& range) noexcept {
  for (const Range& other : taken()) forbid(other.common_with(range));
}

void allow_taken(const Range& range) noexcept {
  for (const Range& other : taken()) allow(other.common_with(range));
}

}  // namespace

void take(const void* begin, std::size_t size) {
  CORERING_ASSERT(is_watched, "only the address sanitizer can watch memory");
  const Range range(begin, size);
  has_taken_any = true;
  taken().push_back(range);
  forbid(range);
}

void give_back(const void* begin, std::size_t size) noexcept {
  const Range range(begin, size);
  const auto found = std::ranges::find(taken(), range);
  if (found == taken().end()) return;  // it was forgotten, or nothing is watched
  allow(range);
  taken().erase(found);
  has_taken_any = !taken().empty();
  forbid_again(range);
}

void forget(const void* begin, std::size_t size) noexcept {
  if (!has_taken_any) return;
  const Range range(begin, size);
  std::erase_if(taken(), [&range](const Range& one) { return !one.common_with(range).is_empty(); });
}

void Lifted::allow() const noexcept { allow_taken(Range::around(begin_, size_)); }
void Lifted::forbid_again() const noexcept { kernel_memory::forbid_again(Range::around(begin_, size_)); }

}  // namespace corering::kernel_memory
