/// times_of_process.cpp — finds the times of another process, and copies them.
#include "core/times_of_process.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <corering/uring/uapi.hpp>

#include "trace/ticks.hpp"

namespace corering {
namespace {

std::shared_ptr<trace::Histogram> copy_of(const trace::Histogram& histogram) {
  return std::make_shared<trace::Histogram>(histogram);
}

/// Returns whether this descriptor stands for such memory. Its name says so without opening it: opening a
/// FIFO or a device can have effects.
bool is_called_so(int directory, const char* descriptor) noexcept {
  constexpr std::string_view name = "/memfd:corering-times";
  std::array<char, 64> target{};
  const ssize_t length = ::readlinkat(directory, descriptor, target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)).starts_with(name);
}

bool read_head(const Fd& fd, TimesMemory::Head& head) noexcept {
  return fd.is_open() && ::pread(fd.get(), &head, sizeof head, 0) == sizeof head &&
         head.magic == TimesMemory::magic;
}

/// One mapping of the whole memory, for as long as it is read.
class Mapping {
 public:
  explicit Mapping(int fd) noexcept {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return;
    bytes_ = static_cast<std::size_t>(status.st_size);
    memory_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0);
  }
  Mapping(Mapping&&) = delete;
  ~Mapping() {
    if (is_open()) ::munmap(memory_, bytes_);
  }
  [[nodiscard]] bool is_open() const noexcept { return memory_ != MAP_FAILED; }
  [[nodiscard]] std::size_t slots() const noexcept {
    return (std::max(bytes_, TimesMemory::head_bytes) - TimesMemory::head_bytes) / LoopTimes::bytes;
  }
  [[nodiscard]] const LoopTimes::Shared& slot(std::size_t index) const noexcept {
    return *reinterpret_cast<const LoopTimes::Shared*>(static_cast<const std::byte*>(memory_) +
                                                       TimesMemory::head_bytes + index * LoopTimes::bytes);
  }

 private:
  void* memory_ = MAP_FAILED;
  std::size_t bytes_ = 0;
};

WorkerStats stats_of(const LoopTimes::Shared& times) {
  WorkerStats stats{.worker = std::string(times.worker.begin(), std::ranges::find(times.worker, '\0'))};
  stats.in_flight = times.in_flight.load(std::memory_order_relaxed);
  copy_times(times, trace::ns_per_tick(), stats);
  return stats;
}

}  // namespace

namespace {

void copy_stages(const LoopTimes::Kind& kind, const TimeStats& total, WorkerStats& stats) {
  const auto copy = [&](const char* stage, const trace::Histogram& histogram) {
    stats.operation_stages.push_back(
        {.kind = total.kind, .stage = stage, .ns_per_tick = total.ns_per_tick, .ticks = copy_of(histogram)});
  };
  copy("batch", kind.batch);
  copy("kernel", kind.kernel);
  copy("resume", kind.resume);
}

void copy_worker_stages(const LoopTimes::Shared& times, double ns_per_tick, WorkerStats& stats) {
  const auto copy = [&](const char* stage, const trace::Histogram& histogram) {
    if (histogram.count() > 0)
      stats.worker_stages.push_back(
          {.kind = "worker", .stage = stage, .ns_per_tick = ns_per_tick, .ticks = copy_of(histogram)});
  };
  copy("queue", times.queue);
  copy("wake", times.wake);
  copy("dispatch", times.dispatch);
  copy("wake_to_run", times.wake_to_run);
  copy("run", times.run);
}

}  // namespace

void copy_times(const LoopTimes::Shared& times, double ns_per_tick, WorkerStats& stats) {
  stats.number = times.number.load(std::memory_order_relaxed);
  stats.turn.ns_per_tick = ns_per_tick;
  stats.turn.ticks = copy_of(times.turns);
  stats.stalls = times.stalls.load(std::memory_order_relaxed);
  copy_worker_stages(times, ns_per_tick, stats);
  for (std::uint8_t opcode = 0; opcode < LoopTimes::most_kinds; ++opcode) {
    const LoopTimes::Kind* const kind = times.kind(opcode);
    if (kind == nullptr) continue;
    stats.operations.push_back({.kind = std::string(name_of(static_cast<Opcode>(opcode))),
                                .errors = kind->errors.load(std::memory_order_relaxed),
                                .ns_per_tick = ns_per_tick,
                                .ticks = copy_of(kind->total)});
    copy_stages(*kind, stats.operations.back(), stats);
  }
}

Result<Fd> open_times(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/fd";
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return failure(errno == ENOENT ? ESRCH : errno);
  Fd found;
  while (const dirent* const entry = ::readdir(directory)) {
    if (!is_called_so(::dirfd(directory), entry->d_name)) continue;
    Fd fd(::openat(::dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC));
    TimesMemory::Head head;
    if (read_head(fd, head) && head.pid == static_cast<std::uint32_t>(process)) found = std::move(fd);
  }
  ::closedir(directory);
  if (!found.is_open()) return failure(ENOENT);
  return found;
}

Result<std::vector<WorkerStats>> read_times(const Fd& times) {
  TimesMemory::Head head;
  const bool is_ours = read_head(times, head) && head.version == TimesMemory::version;
  if (!is_ours || head.slot_bytes != LoopTimes::bytes) return failure(EBADMSG);
  const Mapping mapping(times.get());
  if (!mapping.is_open()) return failure(errno);
  std::vector<WorkerStats> all;
  for (std::size_t index = 0; index < mapping.slots(); ++index) {
    const LoopTimes::Shared& slot = mapping.slot(index);
    if (slot.number.load(std::memory_order_acquire) != 0) all.push_back(stats_of(slot));
  }
  return all;
}

}  // namespace corering
