/// process.cpp — starts programs, and reads what the kernel knows about them.
#include "process.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

extern char** environ;

namespace bench {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what);
}

struct PipeEnds {
  corering::Fd read;
  corering::Fd write;
};

PipeEnds open_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) fail(errno, "pipe");
  return {.read = corering::Fd(fds[0]), .write = corering::Fd(fds[1])};
}

/// Returns the number after `key` in a file of /proc that has one line for each key. Throws when there is
/// none.
std::uint64_t value_in(const std::filesystem::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoull(line.c_str() + key.size(), nullptr, 10);
  }
  throw std::runtime_error(path.string() + " has no " + key);
}

}  // namespace

std::string beside(const std::string& program) {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename(program);
}

Process::Process(std::vector<std::string> arguments) : name_(arguments.front()) {
  PipeEnds input = open_pipe();
  PipeEnds output = open_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int error = ::posix_spawnp(&pid_, pointers[0], &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    const bool of_the_system = name_.find('/') == std::string::npos;
    fail(error, "cannot start " + name_ + (of_the_system ? " (Debian package " + name_ + ")" : ""));
  }
  input_ = std::move(input.write);
  output_ = std::move(output.read);
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Process::read_more() {
  std::array<char, 4096> piece;
  const ssize_t got = ::read(output_.get(), piece.data(), piece.size());
  if (got < 0) fail(errno, "reading what " + name_ + " writes");
  unread_.append(piece.data(), static_cast<std::size_t>(got));
  return got > 0;
}

std::string Process::read_line() {
  std::size_t end = unread_.find('\n');
  for (; end == std::string::npos; end = unread_.find('\n')) {
    if (!read_more()) throw std::runtime_error(name_ + " ended too early");
  }
  std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return line;
}

std::string Process::finish() {
  input_.reset();
  while (read_more()) {
  }
  int status = 0;
  const pid_t ended = ::waitpid(std::exchange(pid_, -1), &status, 0);
  if (ended < 0) fail(errno, "waiting for " + name_);
  if (WIFSIGNALED(status)) {
    throw std::runtime_error(name_ + " was ended by signal " + std::to_string(WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) != 0) {
    throw std::runtime_error(name_ + " exited with " + std::to_string(WEXITSTATUS(status)));
  }
  return std::exchange(unread_, {});
}

clockid_t Process::processor_clock() const {
  clockid_t clock = 0;
  const int error = ::clock_getcpuclockid(pid_, &clock);
  if (error != 0) fail(error, "the processor time of " + name_);
  return clock;
}

std::uint64_t Process::memory() const { return resident_memory(std::to_string(pid_)); }

std::uint64_t Process::sleeps() const {
  std::uint64_t sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
    sum += value_in(thread.path() / "status", "voluntary_ctxt_switches:");
  }
  return sum;
}

double number_in(const std::string& text) {
  double number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) {
    throw std::runtime_error("expected a number, got '" + text + "'");
  }
  return number;
}

std::uint64_t resident_memory(const std::string& process) {
  return value_in("/proc/" + process + "/smaps_rollup", "Rss:") * 1024;
}

std::int64_t time_of(clockid_t clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) fail(errno, "reading a processor clock");
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

double iowait_of(int processor) {
  std::ifstream file("/proc/stat");
  const std::string name = "cpu" + std::to_string(processor);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string label;
    double user = 0, nice = 0, system = 0, idle = 0, iowait = 0;
    if (fields >> label && label == name && fields >> user >> nice >> system >> idle >> iowait) {
      return iowait * 1e9 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
  }
  throw std::runtime_error("/proc/stat has no " + name);
}

}  // namespace bench
