/// child.cpp — posix_spawn, and the pidfd of the child that it starts.
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

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
  connection.ours = Fd(fds[child_reads ? 1 : 0]);
  connection.childs = Fd(fds[child_reads ? 0 : 1]);
  plan.connect(connection.childs.get(), number);
  return connection;
}

/// Kills the child, because nobody could wait for it or stop it later.
std::unexpected<std::error_code> give_up(pid_t pid, int why) noexcept {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return failure(why);
}

bool has_nul(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument.find('\0') != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Result<Child> Child::spawn(const std::vector<std::string>& arguments, const ChildOptions& options) {
  if (arguments.empty() || has_nul(arguments)) return failure(EINVAL);
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
  // It is our child and nobody has waited for it, so no other process can have its number.
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.is_open()) return give_up(pid, errno);
  Child child(pid, std::move(pidfd));
  if (input->ours.is_open()) child.input_.emplace(std::move(input->ours));
  if (output->ours.is_open()) child.output_.emplace(std::move(output->ours));
  if (error->ours.is_open()) child.error_.emplace(std::move(error->ours));
  return child;
}

Task<Result<ChildExit>> Child::wait() {
  input_.reset();  // otherwise a child that reads to the end would wait for us
  siginfo_t how{};
  const Result<void> ended = co_await async_waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), how, WEXITED);
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
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0) return failure(errno);
  return {};
}

}  // namespace corering
