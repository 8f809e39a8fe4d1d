/// perf_buffer.hpp — the memory into which the kernel writes what one processor reports, see
/// perf_event_open(2).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <linux/perf_event.h>
#include <utility>
#include <vector>

namespace iotrace {

/// thread: one at a time
class PerfBuffer {
 public:
  PerfBuffer() noexcept = default;
  PerfBuffer(PerfBuffer&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), data_bytes_(other.data_bytes_) {}
  ~PerfBuffer();

  /// Maps the buffer of an open event, of `bytes` (rounded up to a power of two) if that much may be locked,
  /// and of less otherwise. Returns 0, or the errno.
  [[nodiscard]] int map(int event, std::size_t bytes);

  [[nodiscard]] std::size_t bytes() const noexcept { return data_bytes_; }

  /// Calls visit(const std::byte* record) with each record in the buffer, and makes room for others.
  template <class Visit>
  void drain(Visit&& visit) {
    if (memory_ == nullptr) return;
    auto& header = *static_cast<perf_event_mmap_page*>(memory_);
    std::uint64_t position = header.data_tail;
    const std::uint64_t end = std::atomic_ref(header.data_head).load(std::memory_order_acquire);
    while (position < end) {
      const std::size_t size = size_at(position);
      if (size < sizeof(perf_event_header) || size > end - position) break;
      visit(record_at(position, size));
      position += size;
    }
    std::atomic_ref(header.data_tail).store(end, std::memory_order_release);
  }

 private:
  // Records begin at multiples of 8, so the header never wraps around; the rest of a record may.
  [[nodiscard]] std::size_t size_at(std::uint64_t position) const noexcept {
    perf_event_header header;
    std::memcpy(&header, data() + position % data_bytes_, sizeof header);
    return header.size;
  }
  [[nodiscard]] const std::byte* record_at(std::uint64_t position, std::size_t size);
  [[nodiscard]] const std::byte* data() const noexcept;

  void* memory_ = nullptr;
  std::size_t data_bytes_ = 0;
  std::vector<std::byte> straight_;  // a record that wraps around, in one piece
};

}  // namespace iotrace
