/// tape.hpp — where each call of the worker passes: it is made and written down, or answered from the file.
///
/// So the two directions cannot disagree about what an event is: there is one line of code for both.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_set>

#include <corering/base/outside.hpp>

#include "base/real_outside.hpp"
#include "replay/replay_file.hpp"
#include "replay/run_event.hpp"

namespace corering::replay {

/// thread: the one that made it, except where another one is named
class Tape {
 public:
  /// Records.
  explicit Tape(std::string name) noexcept : name_(std::move(name)) {}
  /// Plays.
  Tape(std::string name, ReplayFileReader reader) noexcept
      : name_(std::move(name)), plays_(true), reader_(std::move(reader)) {}
  Tape(Tape&&) = delete;

  /// Makes the call `real()` and records it, or plays what it answered when it was recorded. What is written
  /// to memory counts unless the result is an error.
  template <class Real>
  std::int64_t pass(Event& event, Real real) noexcept {
    if (plays_ && is_mine()) return play(event);
    event.result = with_real_outside(real);
    return record(event);
  }
  /// Puts a descriptor into the first word of an event, as the recording knows it.
  void name_descriptor(Event& event, int fd, unsigned shift = 0) noexcept;
  [[nodiscard]] static int recorded_number(int fd) noexcept {
    return fd >= os::first_simulated ? fd - os::first_simulated : fd;
  }
  /// Returns the program's number for a descriptor that a call has returned, and notes that it is open.
  int opened(std::int64_t result) noexcept;
  void closed(int fd) noexcept { open_.erase(recorded_number(fd)); }
  /// Returns false for what the program has opened by itself, and the library for its own files.
  [[nodiscard]] bool has_opened(int fd) const noexcept {
    return plays_ == (fd >= os::first_simulated) && open_.contains(recorded_number(fd));
  }
  /// Playing, closes a descriptor that the program itself has opened: that one is real.
  void close_real(int fd) const noexcept;

  /// The next event, which must be of this kind: playing, what it says is the recording's part.
  [[nodiscard]] Recorded next(Kind kind) noexcept;
  void next_is_done() noexcept { reader_.go_on(); }

  [[nodiscard]] bool plays() const noexcept { return plays_; }
  [[nodiscard]] bool records() const noexcept { return !plays_ && !has_stopped_; }
  [[nodiscard]] bool has_bytes() const noexcept { return has_bytes_; }
  void keep_bytes(bool wanted) noexcept { has_bytes_ = wanted; }
  /// Clears memory whose bytes were not recorded. The first time it says so.
  void clear(const Written& part) noexcept;
  [[nodiscard]] ReplayFileWriter& writer() noexcept { return writer_; }
  [[nodiscard]] const ReplayFileReader& reader() const noexcept { return reader_; }
  [[nodiscard]] bool has_played_all() const noexcept {
    return plays_ && reader_.peek().event.kind == Kind::end;
  }

  /// Returns false in a child after fork(), which takes no part.
  [[nodiscard]] bool is_mine() const noexcept { return owner_ == ::getpid(); }
  /// Returns true on the thread that is recorded.
  /// thread: any
  [[nodiscard]] bool is_here() const noexcept { return std::this_thread::get_id() == thread_; }
  /// Notes that something happens that cannot be replayed. It ends a replay; a recording goes no further.
  /// thread: any, also in a signal handler
  void refuse(const char* why) noexcept;
  /// Returns why, or null.
  [[nodiscard]] const char* refused() const noexcept { return refused_.load(); }

  /// Ends the recording.
  void finish() noexcept;
  /// Ends the process, because the program does something else than the recorded one.
  [[noreturn]] void fail_differently(const Event& here, const Event& there) const noexcept;
  [[noreturn]] void fail(const std::string& what) const noexcept;

 private:
  /// The emulated kernel has descriptors of its own, and closes them: these calls are not the program's.
  template <class Real>
  static std::int64_t with_real_outside(Real& real) noexcept {
    const os::RealOutside outside;
    return real();
  }
  std::int64_t play(Event& event) noexcept;
  std::int64_t record(const Event& event) noexcept;
  void append_or_stop(const Event& event) noexcept;
  void append(const Event& event) noexcept;
  void stop_for(const char* why) noexcept;
  void write_to(const Event& event, const Recorded& recorded) noexcept;
  [[nodiscard]] std::string origin() const;

  const std::string name_;
  const std::thread::id thread_ = std::this_thread::get_id();
  const pid_t owner_ = ::getpid();
  const bool plays_ = false;
  bool has_bytes_ = false;
  bool has_told_of_zeros_ = false;
  bool has_stopped_ = false;    // recording
  bool names_foreign_ = false;  // the present event has a descriptor that the program itself has opened
  unsigned shift_ = 0;
  ReplayFileWriter writer_;
  ReplayFileReader reader_;
  std::unordered_set<int> open_;  // what calls that passed here have opened, by the recorded numbers
  std::atomic<const char*> refused_ = nullptr;
};

}  // namespace corering::replay
