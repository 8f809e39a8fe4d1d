/// shared_map.cpp — mmap(2), and what a child must not do with it.
#include "trace/shared_map.hpp"

#include <sys/mman.h>

#include <corering/base/process_generation.hpp>

namespace corering::trace {

SharedMap SharedMap::of(int fd, std::size_t offset, std::size_t bytes, bool populate) noexcept {
  SharedMap map;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | (populate ? MAP_POPULATE : 0), fd, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return map;
  ::madvise(memory, bytes, MADV_DONTFORK);
  map.memory_ = static_cast<std::byte*>(memory);
  map.bytes_ = bytes;
  map.made_in_ = process_generation();
  return map;
}

SharedMap& SharedMap::operator=(SharedMap&& other) noexcept {
  if (this == &other) return *this;
  reset();
  memory_ = std::exchange(other.memory_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  made_in_ = other.made_in_;
  return *this;
}

// In a child the pages are not there, and something else may be.
void SharedMap::reset() noexcept {
  if (memory_ != nullptr && made_in_ == process_generation()) ::munmap(memory_, bytes_);
  memory_ = nullptr;
}

}  // namespace corering::trace
