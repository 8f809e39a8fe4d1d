/// watched_program.cpp — fork(2), and execvp(3) when the gate opens.
#include "watched_program.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace iotrace {
namespace {

using corering::Fd;

struct Pipe {
  Fd readable;
  Fd writable;
};

Pipe make_pipe() {
  std::array<int, 2> ends{-1, -1};
  (void)::pipe2(ends.data(), O_CLOEXEC);
  return {.readable = Fd(ends[0]), .writable = Fd(ends[1])};
}

}  // namespace

WatchedProgram::WatchedProgram(std::vector<std::string> command,
                               const std::vector<std::pair<std::string, std::string>>& environment)
    : command_(std::move(command)) {
  ::sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) ::sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  Pipe gate = make_pipe();
  Pipe refusal = make_pipe();
  if (!gate.readable.is_open() || !refusal.readable.is_open()) return;
  process_ = ::fork();
  if (process_ == 0) {
    gate_ = std::move(gate.readable);
    refusal_ = std::move(refusal.writable);
    gate.writable.reset();
    become_program(environment);
  }
  gate_ = std::move(gate.writable);
  refusal_ = std::move(refusal.readable);
}

WatchedProgram::~WatchedProgram() {
  gate_.reset();
  if (process_ > 0) ::waitpid(process_, nullptr, 0);
  const timespec at_once{};
  while (::sigtimedwait(&signals_, nullptr, &at_once) > 0) {
  }  // they were the program's
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void WatchedProgram::become_program(const std::vector<std::pair<std::string, std::string>>& environment) {
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (std::string& argument : command_) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  char go = 0;
  if (::read(gate_.get(), &go, 1) != 1) ::_exit(1);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  ::execvp(arguments[0], arguments.data());
  const int error = errno;
  (void)!::write(refusal_.get(), &error, sizeof error);
  ::_exit(1);
}

int WatchedProgram::begin() {
  if (process_ < 0) return errno;
  const char go = 1;
  if (::write(gate_.get(), &go, 1) != 1) return errno;
  gate_.reset();
  int error = 0;
  const ssize_t got = ::read(refusal_.get(), &error, sizeof error);
  return got == sizeof error ? error : 0;
}

std::optional<int> WatchedProgram::reap() {
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return std::nullopt;
  process_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Who presses Ctrl-C has sent the signal to the program, too: it is in the same group. Then it comes from the
// kernel, and not from a process.
void WatchedProgram::pass_on(const siginfo_t& signal) const {
  if (signal.si_code <= 0) ::kill(process_, signal.si_signo);
}

int WatchedProgram::wait(const std::function<void()>& tick) {
  for (;;) {
    if (const std::optional<int> code = reap()) return *code;
    const timespec second{.tv_sec = 1, .tv_nsec = 0};
    siginfo_t signal{};
    const int came = ::sigtimedwait(&signals_, &signal, &second);
    if (came > 0 && came != SIGCHLD) pass_on(signal);
    if (came < 0 && errno == EAGAIN) tick();
  }
}

}  // namespace iotrace
