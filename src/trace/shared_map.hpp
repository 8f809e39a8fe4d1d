/// shared_map.hpp — a part of a file in memory, which a child after fork(2) does not have.
#pragma once

#include <cstddef>
#include <utility>

namespace corering::trace {

/// keep alive: nothing; the file's descriptor may be closed
class SharedMap {
 public:
  SharedMap() noexcept = default;
  SharedMap(SharedMap&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        made_in_(other.made_in_) {}
  SharedMap& operator=(SharedMap&& other) noexcept;
  ~SharedMap() { reset(); }

  /// Maps a part, and touches its pages at once if `populate`. Null memory: it failed, and errno says why.
  [[nodiscard]] static SharedMap of(int fd, std::size_t offset, std::size_t bytes, bool populate) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return memory_ != nullptr; }
  [[nodiscard]] std::byte* at(std::size_t offset) const noexcept { return memory_ + offset; }
  template <class T>
  [[nodiscard]] T& as(std::size_t offset = 0) const noexcept {
    return *reinterpret_cast<T*>(memory_ + offset);
  }

 private:
  void reset() noexcept;

  std::byte* memory_ = nullptr;
  std::size_t bytes_ = 0;
  unsigned made_in_ = 0;
};

}  // namespace corering::trace
