/// child.cpp — posix_spawn, and the pidfd of the child that it starts.
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/process/child.hpp>

namespace corering {
namespace {

using Stream = ChildOptions::Stream;

/// Holds the lists of posix_spawn, and frees them at the end.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  SpawnPlan(SpawnPlan&&) = delete;
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  void connect(int fd, int to) { ::posix_spawn_file_actions_adddup2(&actions_, fd, to); }
  void silence(int fd) { ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0); }

  void with_default_signals() {
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  int start(pid_t& pid, const std::vector<std::string>& arguments) {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    return ::posix_spawnp(&pid, pointers.front(), &actions_, &attributes_, pointers.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

class ChildCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "corering.child"; }
  std::string message(int value) const override {
    switch (static_cast<ChildErrc>(value)) {
      case ChildErrc::status_unknown:
        break;
      case ChildErrc::no_program:
        return "there are no arguments: the first one names the program";
      case ChildErrc::argument_has_nul:
        return "an argument contains a NUL byte";
    }
    return "the child has ended, and nobody knows how: SIGCHLD is ignored here (or has SA_NOCLDWAIT), so the "
           "kernel has thrown its status away; set SIGCHLD to SIG_DFL before the child is spawned";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    return static_cast<ChildErrc>(value) == ChildErrc::status_unknown ? std::errc::no_child_process
                                                                      : std::errc::invalid_argument;
  }
};

bool is_sigchld_ignored() noexcept {
  struct sigaction now{};
  if (::sigaction(SIGCHLD, nullptr, &now) != 0) return false;
  return now.sa_handler == SIG_IGN || (now.sa_flags & SA_NOCLDWAIT) != 0;
}

/// Why there is no status of a child that has ended.
std::unexpected<std::error_code> no_status() noexcept {
  if (is_sigchld_ignored()) return std::unexpected(make_error_code(ChildErrc::status_unknown));
  return failure(ECHILD);
}

/// Returns true if the process is a child of ours that nobody has waited for. So it has its number still.
bool is_our_child(idtype_t type, int id) noexcept {
  siginfo_t info{};
  return ::waitid(type, static_cast<id_t>(id), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Moves a descriptor away from the numbers of the standard streams, which are free if this process runs
/// without some of them. There our own output would go to the child, or one stream of the child would
/// overwrite the other.
Result<Fd> above_standard_streams(Fd fd) noexcept {
  if (fd.get() > STDERR_FILENO) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.is_open()) return failure(errno);
  return moved;
}

/// The two ends of one of the child's standard streams, ours and the child's. We close the child's end when
/// the child has been started.
struct Connection {
  Fd ours;
  Fd childs;
};

Result<Connection> connect_stream(SpawnPlan& plan, Stream stream, int number) {
  Connection connection;
  if (stream == Stream::nothing) plan.silence(number);
  if (stream != Stream::pipe) return connection;
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return failure(errno);
  const bool child_reads = number == STDIN_FILENO;
  Result<Fd> ours = above_standard_streams(Fd(fds[child_reads ? 1 : 0]));
  Result<Fd> childs = above_standard_streams(Fd(fds[child_reads ? 0 : 1]));
  if (!ours || !childs) return std::unexpected(ours ? childs.error() : ours.error());
  connection.ours = std::move(*ours);
  connection.childs = std::move(*childs);
  plan.connect(connection.childs.get(), number);
  return connection;
}

/// Kills the child, because nobody could wait for it or stop it later. If the kernel may have taken the child
/// off its list meanwhile, its number may be somebody else's, and nobody is killed.
std::unexpected<std::error_code> give_up(pid_t pid, int why) noexcept {
  if (!is_sigchld_ignored() && is_our_child(P_PID, pid)) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  return failure(why);
}

/// Opens the child's pidfd. It stays closed if the child has ended and the kernel has already forgotten it.
Result<Fd> open_pidfd(pid_t pid) noexcept {
  CORERING_ASSERT(pid > 0, "a child that was started has a number");
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.is_open() && errno != ESRCH) return give_up(pid, errno);
  if (pidfd.is_open() && !is_our_child(P_PIDFD, pidfd.get())) pidfd.reset();  // the number is another's now
  return pidfd;
}

bool has_nul(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument.find('\0') != std::string::npos) return true;
  }
  return false;
}

}  // namespace

const std::error_category& child_category() noexcept {
  static const ChildCategory category;
  return category;
}

Result<Child> Child::spawn_in(Outside& world, const std::vector<std::string>& arguments,
                              const ChildOptions& options) {
  ChildStreams streams;
  streams.are_pipes = {options.input == Stream::pipe, options.output == Stream::pipe,
                       options.error == Stream::pipe};
  int pid = -1;
  const int pidfd = world.start_child(arguments, streams, pid);
  if (pidfd < 0) return failure(-pidfd);
  Child child(pid, Fd(pidfd));
  if (streams.are_pipes[STDIN_FILENO]) child.input_.emplace(Fd(streams.ours[STDIN_FILENO]));
  if (streams.are_pipes[STDOUT_FILENO]) child.output_.emplace(Fd(streams.ours[STDOUT_FILENO]));
  if (streams.are_pipes[STDERR_FILENO]) child.error_.emplace(Fd(streams.ours[STDERR_FILENO]));
  return child;
}

Result<Child> Child::spawn(const std::vector<std::string>& arguments, const ChildOptions& options) {
  if (arguments.empty()) return std::unexpected(make_error_code(ChildErrc::no_program));
  if (has_nul(arguments)) return std::unexpected(make_error_code(ChildErrc::argument_has_nul));
  if (Outside* const world = os::world(); world != nullptr) return spawn_in(*world, arguments, options);
  SpawnPlan plan;
  plan.with_default_signals();
  Result<Connection> input = connect_stream(plan, options.input, STDIN_FILENO);
  if (!input) return std::unexpected(input.error());
  Result<Connection> output = connect_stream(plan, options.output, STDOUT_FILENO);
  if (!output) return std::unexpected(output.error());
  Result<Connection> error = connect_stream(plan, options.error, STDERR_FILENO);
  if (!error) return std::unexpected(error.error());
  pid_t pid = -1;
  if (const int failed = plan.start(pid, arguments); failed != 0) return failure(failed);
  Result<Fd> pidfd = open_pidfd(pid);
  if (!pidfd) return std::unexpected(pidfd.error());
  Child child(pid, std::move(*pidfd));
  if (input->ours.is_open()) child.input_.emplace(std::move(input->ours));
  if (output->ours.is_open()) child.output_.emplace(std::move(output->ours));
  if (error->ours.is_open()) child.error_.emplace(std::move(error->ours));
  return child;
}

Task<Result<ChildExit>> Child::wait() {
  // Otherwise a child that reads to the end would wait for us. The object stays, because it may be in use.
  if (input_ && input_->fd().is_open()) (void)co_await input_->close();
  if (!pidfd_.is_open()) co_return no_status();
  siginfo_t how{};
  const Result<void> ended = co_await async_waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), how, WEXITED);
  if (!ended && ended.error() == std::errc::no_child_process) co_return no_status();
  if (!ended) co_return std::unexpected(ended.error());
  ChildExit exit;
  if (how.si_code == CLD_EXITED) {
    exit.code = how.si_status;
  } else {
    exit.signal = how.si_status;
  }
  co_return exit;
}

Result<void> Child::kill(int signal) noexcept {
  if (!pidfd_.is_open()) return failure(ESRCH);
  if (Outside* const world = os::world(); world != nullptr) {
    if (const int result = world->signal_child(pidfd_.get(), signal); result < 0) return failure(-result);
    return {};
  }
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0) return failure(errno);
  return {};
}

}  // namespace corering
