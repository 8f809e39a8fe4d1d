/// child.hpp — child processes: how to start them, talk to them and wait for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <system_error>
#include <vector>

#include <corering/io/process_calls.hpp>
#include <corering/streams/pipe_stream.hpp>

namespace corering {

class Outside;

struct ChildOptions {
  enum class Stream : std::uint8_t {
    inherit,  ///< the stream of this process
    nothing,  ///< /dev/null
    pipe,     ///< a pipe to this process: Child::input(), output(), error()
  };
  Stream input = Stream::inherit;
  Stream output = Stream::inherit;
  Stream error = Stream::inherit;
};

/// Says how a process has ended: by exit() with a code, or by a signal.
struct ChildExit {
  std::optional<int> code;
  std::optional<int> signal;
  [[nodiscard]] bool success() const noexcept { return code == 0; }
};

enum class ChildErrc {
  status_unknown = 1,  ///< SIGCHLD is ignored, so nobody knows how the child has ended
  no_program,          ///< there are no arguments
  argument_has_nul,
};
[[nodiscard]] const std::error_category& child_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(ChildErrc error) noexcept {
  return {static_cast<int>(error), child_category()};
}

/// A child process. If you destroy this object while the child runs, the child continues and nobody waits for
/// it. So await wait() first.
class Child {
 public:
  /// Starts a child. It works if this process runs without standard streams, too: `inherit` then leaves them
  /// closed. `arguments` begins with the program, which is looked for in PATH. The child has default
  /// signal dispositions and no blocked signals. It has none of our other descriptors, which are
  /// close-on-exec. The call takes as long as a vfork.
  /// errors: ENOENT, EACCES, EMFILE · ChildErrc for no program, or a NUL byte in an argument
  /// follows: posix_spawnp(3) · thread: any
  [[nodiscard]] static Result<Child> spawn(const std::vector<std::string>& arguments,
                                           const ChildOptions& options = {});

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// The pipes that were asked for. They are empty otherwise.
  [[nodiscard]] std::optional<PipeWriter>& input() noexcept { return input_; }
  [[nodiscard]] std::optional<PipeReader>& output() noexcept { return output_; }
  [[nodiscard]] std::optional<PipeReader>& error() noexcept { return error_; }

  /// Closes input() in order: a write that is in flight there ends with ECANCELED. Then it waits until the
  /// child ends, and takes the child off the system's list. A caller that feeds a child which also writes
  /// must read at the same time (when_all), because a pipe holds only 64 KiB.
  /// cancelled: it can be awaited again
  /// errors: ECHILD after it has succeeded once, or if other code of this process has waited for the child;
  ///   ChildErrc::status_unknown, which equals ECHILD, if SIGCHLD is ignored: the child has ended then
  /// thread: a worker
  [[nodiscard]] Task<Result<ChildExit>> wait();

  /// Sends a signal through the child's pidfd, so it never reaches another process that has been given the
  /// same number.
  /// errors: ESRCH when the child has ended and has been waited for; if SIGCHLD is ignored, when it has ended
  ///   and the kernel has forgotten it, a moment later · follows: kill(2)
  Result<void> kill(int signal) noexcept;

 private:
  static Result<Child> spawn_in(Outside& world, const std::vector<std::string>& arguments,
                                const ChildOptions& options);
  Child(pid_t pid, Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  Fd pidfd_;
  std::optional<PipeWriter> input_;
  std::optional<PipeReader> output_;
  std::optional<PipeReader> error_;
};

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::ChildErrc> : std::true_type {};
