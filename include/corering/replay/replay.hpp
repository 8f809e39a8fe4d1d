/// replay.hpp — a run that was recorded happens again, with the same order of events.
///
/// Programs need nothing of this: `CORERING_TRACE=replay,file=run.replay ./app` records a run, and
/// `CORERING_REPLAY=run.replay ./app` runs it again. docs/REPLAY.md says what can be recorded. Tests can do
/// both in one process:
///
///     auto recorder = replay::RunRecorder::start({.file = "run.replay"}).value();
///     (void)run(my_main(), {.kernel = &recorder->kernel()});
///     recorder.reset();
///     auto again = replay::RunReplay::open("run.replay").value();
///     (void)run(my_main(), {.kernel = &again->kernel()});
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>

#include <corering/base/result.hpp>
#include <corering/uring/kernel.hpp>

namespace corering::replay {

struct RecordOptions {
  std::filesystem::path file;
  /// Also what is read and received. Otherwise all of that is zeros when the run is replayed.
  bool bytes = false;
  /// The kernel on which the run happens.
  /// keep alive: it, longer than the recorder
  Kernel* kernel = &real_kernel();
};

/// Records what the worker of this thread asks of the kernel and of the system, and what they answer.
/// thread: the one that made it, which also runs the worker: with run(), Worker::run() or Worker::turn()
class RunRecorder {
 public:
  /// Makes the file.
  /// errors: those of open(2) and posix_fallocate(3); ENOTSUP: a build without tracing cannot record
  [[nodiscard]] static Result<std::unique_ptr<RunRecorder>> start(const RecordOptions& options);
  RunRecorder(RunRecorder&&) = delete;
  ~RunRecorder();

  /// Ends the file; what comes later is not recorded. The destructor does it, too. A file that was not ended,
  /// because the process was killed, can be replayed as far as it goes.
  void finish() noexcept;

  /// For WorkerOptions::kernel.
  [[nodiscard]] Kernel& kernel() noexcept;

  [[nodiscard]] std::uint64_t events() const noexcept;
  /// Returns a number that is different if anything that was recorded is different.
  [[nodiscard]] std::uint64_t hash() const noexcept;
  /// Returns why this run cannot be replayed, or an empty text. From then on nothing is recorded.
  [[nodiscard]] std::string why_not() const;

 private:
  struct Parts;
  explicit RunRecorder(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

/// Answers as the kernel and the system have answered in a recorded run. Nothing happens outside of the
/// program: no descriptor is opened, and nothing is read or sent. If the program asks for something else than
/// the recorded one did, the process says in one line what is different, and aborts.
///
/// Descriptors have the numbers of the recording, and 16,777,216 more, so that no real descriptor has them.
/// thread: the one that made it, which also runs the worker
class RunReplay {
 public:
  /// Reads the file. If it cannot be replayed the error is one line that says why.
  [[nodiscard]] static std::expected<std::unique_ptr<RunReplay>, std::string> open(
      const std::filesystem::path& file);
  RunReplay(RunReplay&&) = delete;
  ~RunReplay();

  /// For WorkerOptions::kernel.
  [[nodiscard]] Kernel& kernel() noexcept;

  /// Returns how many events have been replayed.
  [[nodiscard]] std::uint64_t events() const noexcept;
  /// Returns what RunRecorder::hash() returned after as many events.
  [[nodiscard]] std::uint64_t hash() const noexcept;
  /// Returns true if all that was recorded has happened again.
  [[nodiscard]] bool has_ended() const noexcept;

 private:
  struct Parts;
  explicit RunReplay(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace corering::replay
