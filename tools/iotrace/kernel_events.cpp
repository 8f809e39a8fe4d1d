/// kernel_events.cpp — perf_event_open(2), read by hand.
#include "kernel_events.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace iotrace {
namespace {

using corering::Fd;

constexpr std::size_t page = 4096;
constexpr std::size_t data_bytes = 64 * page;  // a power of two; room for about 3,000 events
constexpr std::size_t ring_bytes = page + data_bytes;
constexpr const char* tracefs = "/sys/kernel/tracing";
constexpr const char* event_folder = "/sys/kernel/tracing/events/io_uring/io_uring_complete/";

std::string read_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string content;
  std::array<char, 4096> chunk;
  for (ssize_t got = 1; file.is_open() && got > 0;) {
    got = ::read(file.get(), chunk.data(), chunk.size());
    if (got > 0) content.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return content;
}

/// Returns the tracepoint's id and its format in one text, as tracefs has them, or an empty text if they
/// cannot be read.
std::string describe_event() { return read_file(std::string(event_folder) + "format"); }

// Nobody else sees what the child mounts, and the mount ends with the child.
std::string describe_event_in_private_mount() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "";
  const Fd readable(ends[0]);
  Fd writable(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tracefs", tracefs, "tracefs", 0, nullptr) == 0;
    const std::string text = mounted ? describe_event() : "";
    const bool written =
        ::write(writable.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(written ? 0 : 1);
  }
  writable.reset();
  if (child < 0) return "";
  std::string text(16384, '\0');  // a format has less than 2 KiB, so it fits into the pipe and one read
  const ssize_t got = ::read(readable.get(), text.data(), text.size());
  ::waitpid(child, nullptr, 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

/// Returns the number after `label`. The search begins at `from`.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label,
                                          std::size_t from = 0) {
  const std::size_t at = text.find(label, from);
  if (at == std::string_view::npos) return std::nullopt;
  return std::strtoull(text.data() + at + label.size(), nullptr, 10);
}

/// Reads one record of the ring, which may wrap around.
class RingReader {
 public:
  explicit RingReader(void* ring)
      : header_(*static_cast<perf_event_mmap_page*>(ring)), data_(static_cast<const char*>(ring) + page) {}

  [[nodiscard]] std::uint64_t end() const noexcept {
    return std::atomic_ref(header_.data_head).load(std::memory_order_acquire);
  }
  template <class T>
  [[nodiscard]] T at(std::uint64_t position) const noexcept {
    T value;
    std::array<char, sizeof(T)> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = data_[(position + i) % data_bytes];
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

 private:
  perf_event_mmap_page& header_;
  const char* data_;
};

}  // namespace

std::optional<KernelEvents::Tracepoint> KernelEvents::find_tracepoint() {
  std::string text = describe_event();
  if (text.empty()) text = describe_event_in_private_mount();
  const auto id = number_after(text, "ID: ");
  const std::size_t field = text.find(" user_data;");
  if (!id || field == std::string::npos) return std::nullopt;
  const auto offset = number_after(text, "offset:", field);
  if (!offset) return std::nullopt;
  return Tracepoint{*id, static_cast<std::size_t>(*offset)};
}

KernelEvents::KernelEvents() : tracepoint_(find_tracepoint()) {}

KernelEvents::~KernelEvents() {
  if (ring_ != nullptr) ::munmap(ring_, ring_bytes);
}

void KernelEvents::watch_this_thread() {
  if (!tracepoint_) return;
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = tracepoint_->id;
  attributes.sample_period = 1;
  attributes.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC_RAW;
  perf_ = Fd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!perf_.is_open()) return;
  void* const ring = ::mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, perf_.get(), 0);
  if (ring != MAP_FAILED) ring_ = ring;
}

std::vector<KernelCompletion> KernelEvents::collect() const {
  std::vector<KernelCompletion> completions;
  if (ring_ == nullptr) return completions;
  const RingReader reader(ring_);
  const std::uint64_t end = reader.end();
  for (std::uint64_t position = 0; position < end;) {
    const auto header = reader.at<perf_event_header>(position);
    if (header.size == 0) break;
    if (header.type == PERF_RECORD_SAMPLE) {
      // header, time, u32 size of the raw part, the raw part: sample_type's bits give this order
      const std::uint64_t time_at = position + sizeof header;
      const std::uint64_t raw_at = time_at + sizeof(std::uint64_t) + sizeof(std::uint32_t);
      completions.push_back({.user_data = reader.at<std::uint64_t>(raw_at + tracepoint_->user_data_offset),
                             .ns = static_cast<std::int64_t>(reader.at<std::uint64_t>(time_at))});
    }
    position += header.size;
  }
  return completions;
}

}  // namespace iotrace
