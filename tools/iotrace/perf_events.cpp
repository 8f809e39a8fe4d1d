/// perf_events.cpp — perf_event_open(2), by hand.
#include "perf_events.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace iotrace {
namespace {

using corering::Fd;

constexpr std::uint64_t format_lost = 1U << 4;  // PERF_FORMAT_LOST, Linux 6.0

perf_event_attr usual_attributes(std::size_t buffer_bytes) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME;
  attributes.sample_id_all = 1;  // records that are no samples end with the thread and the time, too
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC_RAW;
  attributes.watermark = 1;
  attributes.wakeup_watermark = static_cast<std::uint32_t>(buffer_bytes / 4);
  return attributes;
}

int open_event(perf_event_attr& attributes, pid_t thread, int cpu) {
  return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

/// Many processors need many descriptors. Returns true if there may be more of them now.
bool raise_limit_of_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return false;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

int PerfEvents::open_tracepoint(const Tracepoint& tracepoint, const std::string& filter, Target target,
                                int cpu) {
  perf_event_attr attributes = usual_attributes(buffer_bytes_);
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = tracepoint.id;
  attributes.sample_period = 1;
  attributes.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
  if (target.samples_tell_who) attributes.sample_type |= PERF_SAMPLE_TID;
  return open(attributes, target, cpu, filter);
}

int PerfEvents::open_switches(Target target, int cpu) {
  perf_event_attr attributes = usual_attributes(buffer_bytes_);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.exclude_kernel = 1;  // so everybody may see it
  attributes.exclude_hv = 1;
  attributes.context_switch = 1;
  attributes.comm = 1;
  attributes.task = 1;
  return open(attributes, target, cpu, "");
}

// A thread inherits the events of its creator, and takes them along from one processor to the other. For that
// the kernel allows no common buffer, but one on each processor.
int PerfEvents::open(perf_event_attr& attributes, Target target, int cpu, const std::string& filter) {
  attributes.inherit = target.thread == everybody ? 0 : 1;
  attributes.disabled = target.from_exec ? 1 : 0;
  attributes.enable_on_exec = attributes.disabled;
  attributes.read_format = counts_lost_ ? format_lost : 0;
  Fd event(open_event(attributes, target.thread, cpu));
  if (!event.is_open() && errno == EINVAL && counts_lost_) {
    counts_lost_ = false;
    attributes.read_format = 0;
    event.reset(open_event(attributes, target.thread, cpu));
  }
  if (!event.is_open() && errno == EMFILE && raise_limit_of_descriptors())
    event.reset(open_event(attributes, target.thread, cpu));
  if (!event.is_open()) return errno;
  if (!filter.empty() && ::ioctl(event.get(), PERF_EVENT_IOC_SET_FILTER, filter.c_str()) != 0) return errno;
  const int refused = give_buffer(event.get(), cpu);
  if (refused == 0) events_.push_back(std::move(event));
  return refused;
}

int PerfEvents::give_buffer(int event, int cpu) {
  const auto processor = std::ranges::find(processors_, cpu, &Processor::cpu);
  if (processor != processors_.end())
    return ::ioctl(event, PERF_EVENT_IOC_SET_OUTPUT, processor->first_event) == 0 ? 0 : errno;
  PerfBuffer buffer;
  const int refused = buffer.map(event, buffer_bytes_);
  if (refused == 0) processors_.push_back({.cpu = cpu, .first_event = event, .buffer = std::move(buffer)});
  return refused;
}

void PerfEvents::close_all() {
  processors_.clear();
  events_.clear();
}

std::vector<int> PerfEvents::doors() const {
  std::vector<int> doors;
  for (const Processor& one : processors_) doors.push_back(one.first_event);
  return doors;
}

std::uint64_t PerfEvents::lost() const {
  if (!counts_lost_) return 0;
  std::uint64_t lost = 0;
  for (const Fd& event : events_) {
    std::array<std::uint64_t, 2> value_and_lost{};
    if (::read(event.get(), value_and_lost.data(), sizeof value_and_lost) == sizeof value_and_lost)
      lost += value_and_lost[1];
  }
  return lost;
}

}  // namespace iotrace
