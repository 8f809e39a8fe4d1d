/// rest_of.hpp — what is left of some bytes after a part of them was moved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace corering {

/// Returns what is left of `bytes` after the first `done` of them. `done` comes from outside, from the kernel
/// or from a user's own stream, so it may be more than there are: then nothing is left.
template <class T>
[[nodiscard]] constexpr std::span<T> rest_of(std::span<T> bytes, std::size_t done) noexcept {
  return bytes.subspan(std::min(done, bytes.size()));
}

}  // namespace corering
