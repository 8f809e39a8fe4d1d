/// child.hpp — child processes: started, talked to, and waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <corering/io/process_calls.hpp>
#include <corering/streams/pipe_stream.hpp>

namespace corering {

struct ChildOptions {
  enum class Stream : std::uint8_t {
    inherit,  ///< the one of this process
    nothing,  ///< /dev/null
    pipe,     ///< a pipe to this process: Child::input(), output(), error()
  };
  Stream input = Stream::inherit;
  Stream output = Stream::inherit;
  Stream error = Stream::inherit;
};

/// How a process has ended: by exit() with a code, or by a signal.
struct ChildExit {
  std::optional<int> code;
  std::optional<int> signal;
  [[nodiscard]] bool success() const noexcept { return code == 0; }
};

/// A child process. Destroying it while it runs leaves it running, and nobody to wait for it: await wait().
class Child {
 public:
  /// posix_spawnp(3): `arguments` begins with the program, which is looked for in PATH. The child has default
  /// signal dispositions, no blocked signals, and none of our other descriptors, which are close-on-exec.
  /// ENOENT, EACCES, EMFILE; EINVAL for no program, or a NUL byte in an argument. On any thread; takes the
  /// time of a vfork.
  [[nodiscard]] static Result<Child> spawn(const std::vector<std::string>& arguments,
                                           const ChildOptions& options = {});

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// The pipes that were asked for; empty otherwise, and after they have been moved from or reset.
  [[nodiscard]] std::optional<PipeWriter>& input() noexcept { return input_; }
  [[nodiscard]] std::optional<PipeReader>& output() noexcept { return output_; }
  [[nodiscard]] std::optional<PipeReader>& error() noexcept { return error_; }

  /// Closes input(), waits for the child's end, on a worker, and takes it off the system's list. Once; ECHILD
  /// then. Cancelled, it can be awaited again. Who feeds a child that also writes reads at the same time
  /// (when_all): a pipe holds 64 KiB.
  [[nodiscard]] Task<Result<ChildExit>> wait();

  /// kill(2), through its pidfd: never somebody else who has been given the number. ESRCH when it has ended
  /// and been waited for.
  Result<void> kill(int signal) noexcept;

 private:
  Child(pid_t pid, Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  Fd pidfd_;
  std::optional<PipeWriter> input_;
  std::optional<PipeReader> output_;
  std::optional<PipeReader> error_;
};

}  // namespace corering
