/// perf_buffer.cpp — mmap(2), and records that wrap around.
#include "perf_buffer.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <sys/mman.h>

namespace iotrace {
namespace {

constexpr std::size_t page = 4096;

}  // namespace

PerfBuffer::~PerfBuffer() {
  if (memory_ != nullptr) ::munmap(memory_, page + data_bytes_);
}

int PerfBuffer::map(int event, std::size_t bytes) {
  for (std::size_t size = std::bit_ceil(std::max(bytes, page)); size >= page; size /= 2) {
    void* const memory =
        ::mmap(nullptr, page + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, event, 0);
    if (memory != MAP_FAILED) {
      memory_ = memory;
      data_bytes_ = size;
      return 0;
    }
    if (errno != EPERM && errno != ENOMEM) return errno;  // EPERM: so much may not be locked
  }
  return errno;
}

const std::byte* PerfBuffer::data() const noexcept { return static_cast<const std::byte*>(memory_) + page; }

const std::byte* PerfBuffer::record_at(std::uint64_t position, std::size_t size) {
  const std::size_t begin = position % data_bytes_;
  const std::size_t before_the_end = data_bytes_ - begin;
  if (size <= before_the_end) return data() + begin;
  straight_.resize(size);
  std::memcpy(straight_.data(), data() + begin, before_the_end);
  std::memcpy(straight_.data() + before_the_end, data(), size - before_the_end);
  return straight_.data();
}

}  // namespace iotrace
