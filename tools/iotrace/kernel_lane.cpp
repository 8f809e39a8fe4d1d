/// kernel_lane.cpp — who is watched, and the thread that takes the reports.
#include "kernel_lane.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <utility>

namespace iotrace {
namespace {

using corering::trace::Kind;

constexpr std::size_t most_descriptors_for_threads = 64;
/// The low bits of an address are the same for all, so a sample looks at bits above them.
constexpr int first_sampled_bit = 6;

std::vector<pid_t> threads_of(pid_t process) {
  std::vector<pid_t> threads;
  std::error_code gone;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", gone)) {
    const std::string name = entry.path().filename();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    threads.push_back(thread);
  }
  std::ranges::sort(threads);
  return threads;
}

std::string name_of_thread(pid_t process, pid_t thread) {
  std::ifstream in("/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) + "/comm");
  std::string name;
  std::getline(in, name);
  return name;
}

/// The bits that are 0 in the user_data of what belongs to the sample.
std::uint32_t rejected_bits(std::uint32_t one_in) {
  return one_in <= 1 ? 0 : (std::bit_ceil(one_in) - 1) << first_sampled_bit;
}

std::string filter_for(std::uint32_t one_in) {
  return one_in <= 1 ? "" : "!(user_data & " + std::to_string(rejected_bits(one_in)) + ")";
}

/// A request becomes ready in the context of whoever made it so: of a peer, or of no thread at all.
bool happens_elsewhere(const Tracepoint& tracepoint) { return tracepoint.kind == Kind::kernel_ready; }

/// What a tracepoint calls its thread is its number there.
bool is_in_first_pid_namespace() {
  std::error_code unknown;
  return std::filesystem::read_symlink("/proc/self/ns/pid", unknown) == "pid:[4026531836]";
}

bool is_in_between(const Tracepoint& tracepoint) {
  return tracepoint.kind != Kind::kernel_began && tracepoint.kind != Kind::kernel_ended;
}

KernelLane::Refusal no_tracefs(int error) {
  return {.why = std::string("tracefs cannot be read (") + std::strerror(error) + ")",
          .advice =
              "run iotrace as root; CAP_PERFMON alone is not enough, because only root may read "
              "/sys/kernel/tracing"};
}

KernelLane::Refusal no_perf(int error) {
  return {.why = std::string("perf_event_open(2) is refused (") + std::strerror(error) + ")",
          .advice = error == EMFILE ? "raise the limit of open files: it takes ten for each processor"
                                    : "run iotrace as root or with CAP_PERFMON"};
}

// A request ends after it began, even if the clock has not moved on.
void sort_by_time(std::vector<LaneEvent>& events) {
  std::ranges::sort(events, {}, [](const LaneEvent& event) { return std::pair(event.ns, event.kind); });
}

std::int64_t own_processor_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

}  // namespace

KernelLane::KernelLane(Options options)
    : options_(options), tracepoints_(learn_tracepoints()), events_(options.buffer_bytes) {
  if (options.only_begin_and_end) std::erase_if(tracepoints_.all, is_in_between);
  if (tracepoints_.all.empty()) refusal_ = no_tracefs(tracepoints_.error);
  seen_.names_requests = std::ranges::any_of(tracepoints_.all, [](const Tracepoint& one) {
    return one.kind == Kind::kernel_ended && one.request.is_there();
  });
}

KernelLane::~KernelLane() { stop(); }

void KernelLane::watch_new_threads() {
  note_process(::getpid());
  watch({{.thread = 0}});
}

void KernelLane::watch_this_thread() {
  note_process(::getpid());
  watch({{.thread = ::gettid()}});
}

void KernelLane::watch_from_exec(pid_t process) {
  note_process(process);
  // A vector that grows copies everything, and meanwhile the buffer fills. Memory that is not touched is
  // free.
  seen_.events.reserve(std::min(options_.most_events, std::size_t{1} << 22));
  watch({{.thread = process, .from_exec = true}});
}

// A thread that starts while its creator is not watched yet would be missed, and one that starts right after
// would be watched twice. So if the threads have changed meanwhile, it watches the processors.
void KernelLane::watch_process(pid_t process) {
  start_reader();  // before its threads are counted: it may be our process
  const std::vector<pid_t> threads = threads_of(process);
  note_process(process);
  if (fits_threads(threads.size())) {
    Targets targets;
    for (const pid_t thread : threads) targets.push_back({.thread = thread});
    watch(targets);
    if (threads_of(process) == threads) return;
    forget();
  }
  {
    const std::lock_guard lock(mutex_);
    events_.close_all();
    process_ = process;
  }
  watch({{.thread = PerfEvents::everybody}});
}

bool KernelLane::fits_threads(std::size_t threads) const {
  const auto processors = static_cast<std::size_t>(::get_nprocs());
  const std::size_t events = is_in_first_pid_namespace() ? 1 : tracepoints_.all.size() + 1;
  return threads * processors * events <= most_descriptors_for_threads;
}

void KernelLane::note_process(pid_t process) {
  const std::lock_guard lock(mutex_);
  processes_.insert(process);
  learn_names(process);
}

void KernelLane::learn_names(pid_t process) {
  for (const pid_t thread : threads_of(process))
    seen_.thread_names.emplace(thread, name_of_thread(process, thread));
}

void KernelLane::watch(Targets targets) {
  start_reader();  // before, because it would be watched, too
  const std::lock_guard lock(mutex_);
  samples_tell_who_ = process_ != 0 || !is_in_first_pid_namespace();
  for (PerfEvents::Target& target : targets) target.samples_tell_who = samples_tell_who_;
  if (const int error = open_all(targets); error != 0) refusal_ = no_perf(error);
  drop();  // until the last tracepoint was open, ends of requests were missing
  ::eventfd_write(kick_.get(), 1);
}

// What a program calls its process is its number in the first PID namespace.
bool KernelLane::open_programs() {
  if (programs_.is_open()) return true;
  const auto processors = static_cast<std::size_t>(::get_nprocs());
  return !tracepoints_.all.empty() && is_in_first_pid_namespace() &&
         programs_.open(tracepoints_, options_.buffer_bytes * processors, rejected_bits(options_.one_in)) ==
             0;
}

int KernelLane::open_all(const Targets& targets) {
  const bool by_programs = open_programs();
  if (by_programs) {
    for (const pid_t process : processes_) programs_.add_process(process);
  }
  int refused = 0;
  for (int cpu = 0; cpu < ::get_nprocs_conf(); ++cpu) {
    const int no_switches = options_.with_processors ? open_switches(targets, cpu) : 0;
    if (no_switches == ENODEV) continue;
    if (no_switches != 0) processors_refusal_ = no_perf(no_switches);
    if (refused == 0 && !by_programs) refused = open_tracepoints(targets, cpu);
  }
  return refused;
}

int KernelLane::open_switches(const Targets& targets, int cpu) {
  for (const PerfEvents::Target& target : targets) {
    if (const int refused = events_.open_switches(target, cpu); refused != 0) return refused;
  }
  return 0;
}

int KernelLane::open_tracepoints(const Targets& targets, int cpu) {
  const std::string filter = filter_for(options_.one_in);
  for (const Tracepoint& tracepoint : tracepoints_.all) {
    const Targets everybody{{.samples_tell_who = samples_tell_who_}};
    for (const PerfEvents::Target& target : happens_elsewhere(tracepoint) ? everybody : targets) {
      const int refused = events_.open_tracepoint(tracepoint, filter, target, cpu);
      if (refused != 0 && refused != ENODEV) return refused;
    }
  }
  return 0;
}

void KernelLane::start_reader() {
  if (reader_.joinable()) return;
  kick_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  reader_ = std::thread([this] { read_until_stopped(); });
}

void KernelLane::stop() {
  if (reader_.joinable()) {
    stopping_ = true;
    ::eventfd_write(kick_.get(), 1);
    reader_.join();
  }
  const std::lock_guard lock(mutex_);
  drain();
  lost_before_close_ += events_.lost() + programs_.lost();
  events_.close_all();
  programs_.close();
}

void KernelLane::read_until_stopped() {
  std::uint64_t before = 0;
  while (!stopping_) {
    std::vector<pollfd> doors = {{.fd = kick_.get(), .events = POLLIN, .revents = 0}};
    {
      const std::lock_guard lock(mutex_);
      drain();
      for (const int door : events_.doors()) doors.push_back({.fd = door, .events = POLLIN, .revents = 0});
    }
    const bool is_busy = reports() > before;
    before = reports();
    reader_ns_.store(own_processor_ns(), std::memory_order_relaxed);
    ::poll(doors.data(), doors.size(), is_busy ? 10 : 50);  // nobody tells when the programs' buffer fills
    eventfd_t kicks = 0;
    ::eventfd_read(kick_.get(), &kicks);
  }
}

void KernelLane::drain() {
  const std::size_t old_strangers = strangers_.size();
  const std::uint64_t end =
      programs_.position();  // now, so that a process that has begun until then is known
  events_.drain([this](const std::byte* record) { take_record(record); });
  programs_.drain_until(end, [this](const LaneEvent& event) { take_event(event, true); });
  settle_strangers();
  const std::size_t dropped = std::min(old_strangers, strangers_.size());
  strangers_.erase(strangers_.begin(), strangers_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

void KernelLane::take_record(const std::byte* bytes) {
  const LaneRecord record(bytes, samples_tell_who_);
  if (const auto event = record.event(tracepoints_.all)) {
    take_event(*event, process_ == 0 || record.process() == process_);
  } else if (const auto news = record.news()) {
    take_news(*news);
  } else {
    told_lost_ += record.lost();
  }
}

void KernelLane::take_event(const LaneEvent& event, bool is_ours) {
  reports_.store(reports_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  const bool is_of_a_thread = event.kind == Kind::cpu_off || event.kind == Kind::cpu_on;
  if (is_of_a_thread) {
    if (is_ours) keep(event);
    return;
  }
  if (is_ours && event.kind != Kind::kernel_ready) {
    if (event.ring != last_ring_) rings_.insert(event.ring);
    last_ring_ = event.ring;
    keep(event);
  } else if (rings_.contains(event.ring)) {
    keep(event);
  } else {
    strangers_.push_back(event);
  }
}

// The buffers of several processors are read one after the other, so the first report of a ring may come
// after others of it. In the next round it is known.
void KernelLane::settle_strangers() {
  const auto [begin, end] = std::ranges::remove_if(strangers_, [this](const LaneEvent& event) {
    const bool is_ours = rings_.contains(event.ring);
    if (is_ours) keep(event);
    return is_ours;
  });
  strangers_.erase(begin, end);
}

void KernelLane::take_news(const ThreadNews& news) {
  auto& names = seen_.thread_names;
  if (news.parent == 0) {
    if (process_ == 0 || names.contains(news.tid)) names[news.tid] = news.name;
  } else if (const auto parent = names.find(news.parent); parent != names.end()) {
    names.insert_or_assign(news.tid, std::string(parent->second));
  }
}

void KernelLane::keep(const LaneEvent& event) {
  if (seen_.events.size() < options_.most_events) {
    seen_.events.push_back(event);
  } else {
    ++no_room_;
  }
}

std::uint64_t KernelLane::lost() const {
  const std::uint64_t counted = lost_before_close_ + events_.lost() + programs_.lost();
  return std::max(told_lost_, counted) + no_room_ - forgotten_lost_;
}

void KernelLane::forget() {
  const std::lock_guard lock(mutex_);
  drop();
}

void KernelLane::drop() {
  drain();
  seen_.events.clear();
  forgotten_lost_ += lost();
}

LaneRecording KernelLane::collect() {
  const std::lock_guard lock(mutex_);
  drain();
  seen_.lost = lost();
  sort_by_time(seen_.events);
  return seen_;
}

LaneRecording KernelLane::take() {
  const std::lock_guard lock(mutex_);
  drain();
  LaneRecording taken = std::move(seen_);
  taken.lost = lost();
  forgotten_lost_ += taken.lost;
  sort_by_time(taken.events);
  seen_ = {.events = {}, .names_requests = taken.names_requests, .thread_names = taken.thread_names};
  return taken;
}

}  // namespace iotrace
