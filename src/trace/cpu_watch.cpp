/// cpu_watch.cpp — asks the kernel how long the calling thread ran, and how long it had to wait for that.
#include "trace/cpu_watch.hpp"

#include <array>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/trace/recorder.hpp>

namespace corering::trace {
namespace {

std::uint64_t cpu_time_of_thread() noexcept {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(used.tv_nsec);
}

// The second number of /proc/PID/schedstat: nanoseconds in which it could have run, but had no processor.
// Where that file is missing it is 0.
std::uint64_t time_without_processor() noexcept {
  const int file = ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 64> text{};
  const ssize_t length = ::read(file, text.data(), text.size());
  ::close(file);
  const char* const end = text.data() + (length > 0 ? length : 0);
  const char* at = text.data();
  while (at != end && *at != ' ') ++at;
  std::uint64_t waited = 0;
  if (at != end) std::from_chars(at + 1, end, waited);
  return waited;
}

}  // namespace

[[gnu::noinline]] void CpuWatch::read(std::uint64_t stamp, const void* worker) noexcept {
  CORERING_DEBUG_ASSERT(stamp >= last_reading_, "a thread's time goes on");
  last_reading_ = stamp;
  record_at(stamp, Kind::cpu_used, no_opcode, worker, cpu_time_of_thread(), time_without_processor());
}

}  // namespace corering::trace
