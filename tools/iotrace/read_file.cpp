/// read_file.cpp — the two flows on a real file.
#include "read_file.hpp"

#include <atomic>
#include <ctime>
#include <thread>
#include <unistd.h>
#include <vector>

#include <corering/corering.hpp>

#include "kernel_events.hpp"

namespace iotrace {
namespace {

using namespace corering;

/// Stops a worker that has made no progress for too long. What it waits for then ends with ECANCELED.
class Watchdog {
 public:
  Watchdog(Worker& worker, Duration patience)
      : patience_(patience),
        deadline_(Clock::now() + patience),
        thread_([this, &worker] { watch(worker); }) {}
  Watchdog(Watchdog&&) = delete;
  ~Watchdog() {
    finished_.set();
    thread_.join();
  }

  void progress() noexcept { deadline_.store(Clock::now() + patience_, std::memory_order_relaxed); }
  [[nodiscard]] bool has_bitten() const noexcept { return bitten_; }

 private:
  void watch(Worker& worker) {
    for (;;) {
      const TimePoint deadline = deadline_.load(std::memory_order_relaxed);
      if (finished_.wait_until(deadline)) return;
      if (deadline_.load(std::memory_order_relaxed) != deadline) continue;
      bitten_ = true;
      return worker.request_stop();
    }
  }

  Duration patience_;
  std::atomic<TimePoint> deadline_;
  std::atomic<bool> bitten_ = false;
  OneShot finished_;
  std::thread thread_;
};

/// The file while it is being read.
struct Source {
  Fd fd;
  std::uint64_t size = 0;  ///< 0: unknown; then it reads until nothing comes
  bool seekable = true;

  std::uint64_t done = 0;
  std::uint64_t reads = 0;

  [[nodiscard]] std::uint64_t offset() const noexcept { return seekable ? done : current_position; }

  /// Adds the result of a read. Returns true if there is more to read.
  bool advance(std::size_t got) noexcept {
    done += got;
    ++reads;
    return got > 0 && (size == 0 || done < size);
  }
};

std::string sentence(const ReadOptions& options, const std::error_code& error, bool timed_out) {
  if (!timed_out) return options.file + ": " + error.message();
  return options.file + ": nothing came for " + std::to_string(options.timeout.count()) +
         " s; if it is a FIFO, start its writer first or raise --timeout";
}

Task<Result<Source>> open_source(Worker& worker, const char* path) {
  Result<Fd> fd = co_await async_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY).on(worker);
  if (!fd) co_return std::unexpected(fd.error());
  Source source;
  source.fd = std::move(*fd);
  struct statx status{};
  const Result<void> asked =
      co_await async_statx(source.fd.get(), "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, status).on(worker);
  if (!asked) co_return std::unexpected(asked.error());
  if (S_ISDIR(status.stx_mode)) co_return failure(EISDIR);
  if (S_ISCHR(status.stx_mode)) co_return failure(EINVAL);
  source.seekable = S_ISREG(status.stx_mode) || S_ISBLK(status.stx_mode);
  source.size = S_ISREG(status.stx_mode) ? status.stx_size : 0;
  co_return source;
}

// It uses its own worker, so that the recorded one begins with the first read.
std::expected<Source, std::string> open_before_recording(const ReadOptions& options) {
  Worker opener;
  if (const Result<void> started = opener.start(); !started)
    return std::unexpected(started.error().message());
  const Watchdog watchdog(opener, options.timeout);
  Result<Source> source = sync_wait(open_source(opener, options.file.c_str()));
  if (source) return std::move(*source);
  if (source.error() == std::errc::invalid_argument) {
    return std::unexpected(options.file + ": this is a character device; use a regular file or a FIFO");
  }
  return std::unexpected(sentence(options, source.error(), watchdog.has_bitten()));
}

// The flow begins with a worker that is idle and asleep. Nothing tells us when it has fallen asleep, and we
// need not know: if it is still awake, only the first wake-up is elided, and the trace says so.
void let_fall_asleep(Worker& worker) {
  if (!sync_wait(async_nop().on(worker))) return;
  real_kernel().nap(std::chrono::milliseconds(5));
}

/// Records only the first `most` reads. The others are read and counted, but not recorded.
class Recording {
 public:
  explicit Recording(std::size_t most) : most_(most) {}

  void begin() { trace::start(most_ * 64 + 1024); }

  /// The same, but the events until now were only a warm-up: each thread's first event makes its ring.
  void begin_again() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    since_ns_ = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }

  void read_done(std::uint64_t reads) noexcept {
    if (reads >= most_) trace::stop();
  }

  [[nodiscard]] std::int64_t since_ns() const noexcept { return since_ns_; }

 private:
  std::size_t most_;
  std::int64_t since_ns_ = 0;
};

// Flow 1: the main thread awaits each read. The coroutine switches to the worker, and its result comes back
// here.
Result<void> read_by_switch(Worker& worker, Source& source, std::span<std::byte> buffer, Recording& recording,
                            Watchdog& watchdog) {
  for (bool more = true; more;) {
    const Result<std::size_t> got =
        sync_wait(async_read(source.fd.get(), buffer, source.offset()).on(worker));
    if (!got) return std::unexpected(got.error());
    more = source.advance(*got);
    recording.read_done(source.reads);
    watchdog.progress();
  }
  return {};
}

// Flow 2: the coroutine is started on the worker and never leaves it.
Task<Result<void>> read_on_this_worker(Source& source, std::span<std::byte> buffer, Recording& recording,
                                       std::atomic<Watchdog*>& watchdog) {
  for (bool more = true; more;) {
    const Result<std::size_t> got = co_await async_read(source.fd.get(), buffer, source.offset());
    if (!got) co_return std::unexpected(got.error());
    more = source.advance(*got);
    recording.read_done(source.reads);
    if (Watchdog* const dog = watchdog.load(std::memory_order_acquire); dog != nullptr) dog->progress();
  }
  co_return Result<void>();
}

Task<void> run_callback_task(Task<Result<void>> reading, Result<void>& outcome, OneShot& ended) {
  outcome = co_await std::move(reading);
  ended.set();
}

std::expected<void, std::string> read_recorded(const ReadOptions& options, Source& source,
                                               Recording& recording, KernelEvents& kernel_events) {
  std::vector<std::byte> buffer(options.chunk);
  OneShot ended;
  Result<void> outcome;
  std::atomic<Watchdog*> dog = nullptr;
  bool timed_out = false;
  Worker worker;
  const bool switches = options.flow == Flow::switch_to_worker;
  const auto init_callback = [&](Worker&) {
    kernel_events.watch_this_thread();
    if (switches) return;
    spawn(run_callback_task(read_on_this_worker(source, buffer, recording, dog), outcome, ended)).detach();
  };
  recording.begin();
  const Result<void> started = worker.start(init_callback);
  if (!started) return std::unexpected(started.error().message());
  if (switches) {
    let_fall_asleep(worker);
    recording.begin_again();
  }
  {
    Watchdog watchdog(worker, options.timeout);
    dog.store(&watchdog, std::memory_order_release);
    if (switches) {
      outcome = read_by_switch(worker, source, buffer, recording, watchdog);
    } else {
      ended.wait();
    }
    timed_out = watchdog.has_bitten();
  }
  trace::stop();
  if (!outcome) return std::unexpected(sentence(options, outcome.error(), timed_out));
  return {};
}

}  // namespace

std::expected<FlowRecord, std::string> read_and_record(const ReadOptions& options) {
  KernelEvents kernel_events;  // before the first thread
  std::expected<Source, std::string> source = open_before_recording(options);
  if (!source) return std::unexpected(source.error());
  Recording recording(options.most_drawn);
  if (const auto read = read_recorded(options, *source, recording, kernel_events); !read)
    return std::unexpected(read.error());
  const Recorded recorded{.threads = trace::snapshot(),
                          .main_tid = gettid(),
                          .since_ns = recording.since_ns(),
                          .completions = kernel_events.collect()};
  FlowRecord record{.flow = options.flow,
                    .file = options.file,
                    .bytes = source->done,
                    .reads = source->reads,
                    .chunk = options.chunk,
                    .lost_events = 0,
                    .drawn = find_steps(options.flow, recorded, options.most_drawn)};
  for (const trace::ThreadRecording& thread : recorded.threads) record.lost_events += thread.lost;
  return record;
}

}  // namespace iotrace
