/// process.hpp — programs that run next to the harness, and what the kernel says about them.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <sys/types.h>
#include <vector>

#include <corering/base/fd.hpp>

namespace bench {

/// Returns the path of a program that was built in the same directory as this one.
[[nodiscard]] std::string beside(const std::string& program);

/// A running program, with pipes as its standard input and output. It runs on the processors of the thread
/// that starts it. The destructor kills it if nobody waited for it.
class Process {
 public:
  /// Throws when it cannot be started. A name without a slash is looked up in PATH.
  explicit Process(std::vector<std::string> arguments);
  Process(Process&&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Returns the next line that it writes, without the newline. Throws when it ends first.
  [[nodiscard]] std::string read_line();

  /// Ends its standard input, waits until it ends, and returns the rest of what it wrote. Throws unless it
  /// exits with 0.
  std::string finish();

  /// Measures the processor time of all its threads.
  [[nodiscard]] clockid_t processor_clock() const;
  /// See resident_memory().
  [[nodiscard]] std::uint64_t memory() const;
  /// Returns how often its threads have gone to sleep.
  [[nodiscard]] std::uint64_t sleeps() const;

 private:
  [[nodiscard]] bool read_more();

  std::string name_;
  pid_t pid_ = -1;
  corering::Fd input_;
  corering::Fd output_;
  std::string unread_;
};

/// Returns what the program writes until it ends.
[[nodiscard]] inline std::string output_of(std::vector<std::string> arguments) {
  return Process(std::move(arguments)).finish();
}

/// Returns the number at the beginning of `text`. Throws when there is none.
[[nodiscard]] double number_in(const std::string& text);

/// Returns the bytes of memory that a process uses (Rss). The process is "self", or its number.
[[nodiscard]] std::uint64_t resident_memory(const std::string& process);

/// Returns the time of a clock that counts processor time, in nanoseconds.
[[nodiscard]] std::int64_t time_of(clockid_t clock);

/// Returns the nanoseconds for which a processor has been counted as waiting for I/O.
[[nodiscard]] double iowait_of(int processor);

}  // namespace bench
