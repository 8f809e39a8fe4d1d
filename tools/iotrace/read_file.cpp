/// read_file.cpp — the two flows on a real file.
#include "read_file.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

#include <corering/corering.hpp>

#include "kernel_events.hpp"
#include "kernel_lane.hpp"
#include "watchdog.hpp"

namespace iotrace {
namespace {

using namespace corering;

/// The file while it is being read.
struct Source {
  Fd fd;
  std::uint64_t size = 0;  ///< 0: unknown; then it reads until nothing comes
  bool seekable = true;
  bool is_endless = false;  ///< as a character device may be

  std::uint64_t most_reads = 0;  ///< 0: no limit
  std::uint64_t done = 0;
  std::uint64_t reads = 0;
  bool has_more = true;

  [[nodiscard]] FileOffset offset() const noexcept { return seekable ? FileOffset(done) : current_position; }
  [[nodiscard]] bool is_over() const noexcept { return !has_more || (most_reads > 0 && reads >= most_reads); }

  void advance(std::size_t got) noexcept {
    done += got;
    ++reads;
    has_more = got > 0 && (size == 0 || done < size);
  }
};

/// Room for one read. A small file needs no more than itself, and what nobody writes to costs no memory.
class Buffer {
 public:
  Buffer(std::uint64_t chunk, std::uint64_t file_size)
      : size_(file_size > 0 ? std::min(chunk, file_size) : chunk),
        bytes_(std::make_unique_for_overwrite<std::byte[]>(size_)) {}
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

std::string signal_name(int signal) { return std::string("SIG") + ::sigabbrev_np(signal); }

std::string sentence(const ReadOptions& options, const std::error_code& error, const Watchdog& watchdog) {
  if (!watchdog.has_timed_out()) return options.file + ": " + error.message();
  struct stat status{};
  const bool is_fifo = ::stat(options.file.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  return options.file + ": nothing came for " + std::to_string(options.timeout.count()) + " s; " +
         (is_fifo ? "start the FIFO's writer first, or raise --timeout" : "raise --timeout");
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
  source.is_endless = S_ISCHR(status.stx_mode);
  source.seekable = S_ISREG(status.stx_mode) || S_ISBLK(status.stx_mode);
  source.size = S_ISREG(status.stx_mode) ? status.stx_size : 0;
  co_return source;
}

// It uses its own worker, so that the recorded one begins with the first read.
std::expected<Source, std::string> open_before_recording(const ReadOptions& options, HeldSignals& signals) {
  Worker opener;
  if (const Result<void> started = opener.start(); !started)
    return std::unexpected(started.error().message());
  const Watchdog watchdog(signals, opener, options.timeout);
  Result<Source> source = sync_wait(open_source(opener, options.file.c_str()));
  if (!source && watchdog.signal() != 0) {
    return std::unexpected(options.file + ": " + signal_name(watchdog.signal()) +
                           " came before the first read");
  }
  if (!source) return std::unexpected(sentence(options, source.error(), watchdog));
  if (source->is_endless && options.reads == 0) {
    return std::unexpected(
        options.file + ": this is a character device, which may have no end; say how many reads: --reads N");
  }
  source->most_reads = options.reads;
  return std::move(*source);
}

// The flow begins with a worker that is idle and asleep. Nothing tells us when it has fallen asleep, and we
// need not know: if it is still awake, only the first wake-up is elided, and the trace says so.
void let_fall_asleep(Worker& worker) {
  if (!sync_wait(async_nop().on(worker))) return;
  real_kernel().nap(std::chrono::milliseconds(5));
}

bool runs_on_emulation() { return &default_kernel() == &emulated_kernel(); }

/// Records everything, and keeps two parts of it: the first reads, and what came last.
class Recording {
 public:
  Recording(Flow flow, std::size_t most) : flow_(flow), most_(most) {
    if (!runs_on_emulation())
      lane_.emplace(KernelLane::Options{.only_begin_and_end = true, .with_processors = false});
  }

  /// Learns what can be learned before, so that none of it happens while the flow runs. Each thread's first
  /// event makes its ring.
  void begin() {
    if (lane_) lane_->watch_new_threads();
    // If it cannot record, no moment is observed. A file for which CORERING_TRACE asks gets the same.
    (void)trace::start({.events_per_thread = most_ * 64 + 1024, .file = trace::file()});
    trace::record(trace::Kind::none, trace::no_opcode, nullptr);
  }

  /// The same, but the events until now were only a warm-up.
  void begin_again() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    since_ns_ = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }

  /// The coroutine that has the result of a read calls this when it continues.
  void continues() { trace::record(trace::Kind::remark, trace::no_opcode, this); }

  /// So many reads have got something.
  void read_done(std::uint64_t reads) {
    if (reads == most_ + 1) {
      first_ = find_steps(flow_, recorded(), most_);
      lost_ = lost_events();
    }
    if (reads > most_ && lane_) lane_->forget();  // it would be full of what is not shown
  }

  void end() noexcept { trace::stop(); }

  /// Writes what was recorded to `record`, which knows already how many reads there were.
  void show(FlowRecord& record) {
    const Recorded last = recorded();
    record.drawn = first_.empty() ? find_steps(flow_, last, most_) : std::move(first_);
    record.lost_events = record.reads > most_ ? lost_ : lost_events();
    if (lane_) record.kernel_unseen = lane_->refusal().why;
    if (!record.is_unfinished || record.reads < most_) return;
    if (auto unfinished = find_last_steps(flow_, last, record.reads))
      record.drawn.push_back(std::move(*unfinished));
  }

 private:
  [[nodiscard]] Recorded recorded() {
    Recorded all{
        .threads = trace::snapshot(), .main_tid = main_tid_, .since_ns = since_ns_, .is_emulated = !lane_};
    all.kernel_did = lane_ ? begins_and_ends(lane_->collect()) : take_what_emulation_did(all.threads);
    return all;
  }

  [[nodiscard]] static std::uint64_t lost_events() {
    std::uint64_t lost = 0;
    for (const trace::ThreadRecording& thread : trace::snapshot()) lost += thread.lost;
    return lost;
  }

  Flow flow_;
  std::size_t most_;
  int main_tid_ = gettid();
  std::int64_t since_ns_ = 0;
  std::optional<KernelLane> lane_;  // made before the first thread; the emulation needs none
  std::vector<ReadSteps> first_;
  std::uint64_t lost_ = 0;
};

// Flow 1: the main thread awaits each read. The coroutine switches to the worker, and its result comes back
// here.
Result<void> read_by_switch(Worker& worker, Source& source, std::span<std::byte> buffer, Recording& recording,
                            Watchdog& watchdog) {
  while (!source.is_over()) {
    const Result<std::size_t> got =
        sync_wait(async_read(source.fd.get(), buffer, source.offset()).on(worker));
    if (!got) return std::unexpected(got.error());
    source.advance(*got);
    recording.read_done(source.reads);
    watchdog.progress();
  }
  return {};
}

// Flow 2: the coroutine is started on the worker and never leaves it.
Task<Result<void>> read_on_this_worker(Source& source, std::span<std::byte> buffer, Recording& recording,
                                       std::atomic<Watchdog*>& watchdog) {
  while (!source.is_over()) {
    const Result<std::size_t> got = co_await async_read(source.fd.get(), buffer, source.offset());
    recording.continues();
    if (!got) co_return std::unexpected(got.error());
    source.advance(*got);
    recording.read_done(source.reads);
    if (Watchdog* const dog = watchdog.load(std::memory_order_acquire); dog != nullptr) dog->progress();
  }
  co_return Result<void>();
}

Task<void> run_callback_task(Task<Result<void>> reading, Result<void>& outcome, OneShot& ended) {
  outcome = co_await std::move(reading);
  ended.set();
}

/// Writes to `record` how the reading ended.
void tell_end(const ReadOptions& options, const Source& source, const Result<void>& outcome,
              const Watchdog& watchdog, FlowRecord& record) {
  record.bytes = source.done;
  record.reads = source.reads;
  record.is_unfinished = !outcome;
  if (outcome) {
    record.ended_by = source.has_more ? "--reads" : "";
  } else if (watchdog.signal() != 0) {
    record.ended_by = signal_name(watchdog.signal());
  } else {
    record.error = sentence(options, outcome.error(), watchdog);
  }
}

/// Reads with a new worker until the source is over, a read fails, or the watchdog stops the worker. The
/// error is that of a worker that could not start.
std::expected<FlowRecord, std::string> read_recorded(const ReadOptions& options, HeldSignals& signals,
                                                     Source& source, Recording& recording) {
  FlowRecord record{.flow = options.flow, .file = options.file, .chunk = options.chunk};
  const Buffer buffer(options.chunk, source.size);
  OneShot ended;
  Result<void> outcome;
  std::atomic<Watchdog*> dog = nullptr;
  Worker worker;
  const bool switches = options.flow == Flow::switch_to_worker;
  const auto init_callback = [&](Worker&) {
    if (switches) return;
    spawn(run_callback_task(read_on_this_worker(source, buffer.bytes(), recording, dog), outcome, ended))
        .detach();
  };
  recording.begin();
  const Result<void> started = worker.start(init_callback);
  if (!started) return std::unexpected(started.error().message());
  if (switches) {
    let_fall_asleep(worker);
    recording.begin_again();
  }
  Watchdog watchdog(signals, worker, options.timeout);
  dog.store(&watchdog, std::memory_order_release);
  if (switches) {
    outcome = read_by_switch(worker, source, buffer.bytes(), recording, watchdog);
  } else {
    ended.wait();
  }
  recording.end();
  record.kernel = worker.kernel_name();
  tell_end(options, source, outcome, watchdog, record);
  recording.show(record);
  return record;
}

}  // namespace

std::expected<FlowRecord, std::string> read_and_record(const ReadOptions& options) {
  static std::string why_emulated;
  prefer_kernel(KernelChoice::automatic);
  on_emulation([](std::error_code reason) { why_emulated = reason.message(); });
  HeldSignals signals;
  Recording recording(options.flow, options.most_drawn);
  std::expected<Source, std::string> source = open_before_recording(options, signals);
  if (!source) return std::unexpected(source.error());
  auto record = read_recorded(options, signals, *source, recording);
  if (record) record->why_emulated = why_emulated;
  return record;
}

}  // namespace iotrace
