/// top.cpp — attaches, reads once in a while, and leaves nothing behind.
#include "top.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/base/fd.hpp>
#include <corering/trace/attachment.hpp>

#include "common/text.hpp"

namespace iotrace {
namespace {

using corering::Fd;
using corering::Result;
using corering::WorkerStats;
using Seconds = std::chrono::duration<double>;
namespace trace = corering::trace;

constexpr const char* top_help = R"(
Shows what the workers of process PID do, once a second: how many operations of each kind end, how long they take,
how many failed, how many are with the kernel, and how many turns of the worker took longer than 5 ms (stalls: nothing
else on that worker went on meanwhile). The process keeps these times only as long as somebody looks.

  -n ITERATIONS         ends after so many tables; without it, Ctrl-C ends it, or the end of the process
  -d SECONDS            the time between two tables (1); it may be a part of a second, as 0.2
  --help

The exit code is 0; 1 if the process cannot be looked at; 2 for a wrong call.)";

struct TopOptions {
  std::uint64_t iterations = 0;  // 0: no limit
  Seconds delay{1};
  pid_t pid = 0;
};

int complain(int code, const std::string& sentence) {
  std::fprintf(stderr, "iotrace: %s\n", tools::printable(sentence).c_str());
  return code;
}

template <class Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

/// Takes one option and its value. Returns a sentence that says what is wrong, or an empty text.
std::string take_option(std::string_view option, std::string_view value, TopOptions& options) {
  if (option == "-n") {
    if (parse(value, options.iterations)) return "";
    return "-n is a number of tables, from 1, not '" + std::string(value) + "'";
  }
  double seconds = 0;
  if (!parse(value, seconds) || !(seconds >= 0.01 && seconds <= 86'400))
    return "-d is a number of seconds from 0.01 to 86400, not '" + std::string(value) + "'";
  options.delay = Seconds(seconds);
  return "";
}

std::string parse(const std::vector<std::string_view>& arguments, TopOptions& options) {
  std::optional<std::string_view> process;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (!word.starts_with('-')) {
      if (process) return top_usage;
      process = word;
      continue;
    }
    if (!word.starts_with("-n") && !word.starts_with("-d"))
      return "unknown option '" + std::string(word) + "'; " + top_usage;
    std::string_view value = word.substr(2);
    if (value.empty() && ++i == arguments.size()) return std::string(word) + " needs a value; " + top_usage;
    if (value.empty()) value = arguments[i];
    if (std::string wrong = take_option(word.substr(0, 2), value, options); !wrong.empty()) return wrong;
  }
  if (!process) return top_usage;
  return parse(*process, options.pid) ? ""
                                      : "PID is the number of a process, not '" + std::string(*process) + "'";
}

std::string why_not(pid_t pid, const std::error_code& error) {
  const std::string process = "process " + std::to_string(pid);
  switch (error.value()) {
    case ESRCH:
      return "there is no " + process;
    case ENOENT:
      return process +
             " has no worker of corering, so there is nothing to show; iotrace attach shows its io_uring";
    case EACCES:
    case EPERM:
      return process + " belongs to somebody else: run iotrace as its user, or as root";
    default:
      return process + ": " + error.message();
  }
}

/// Wakes up when the process ends, or when a signal says that nobody wants more.
class Doors {
 public:
  explicit Doors(pid_t pid) : process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
    sigset_t signals{};
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    signals_ = Fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  }

  /// Returns false if one of them has opened meanwhile.
  [[nodiscard]] bool stay_closed(Seconds time) {
    std::array<pollfd, 2> doors = {{{.fd = process_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = signals_.get(), .events = POLLIN, .revents = 0}}};
    const auto ms = static_cast<int>(std::lround(time.count() * 1000));
    return ::poll(doors.data(), doors.size(), ms) == 0;
  }

 private:
  Fd process_;
  Fd signals_;
};

/// Reads one process again and again.
class Readings {
 public:
  explicit Readings(pid_t pid) : pid_(pid) {}

  /// Returns none as long as no worker has had something to do.
  std::vector<WorkerStats> read() {
    if (!times_.is_open()) {
      Result<Fd> found = corering::open_times(pid_);
      if (found) times_ = std::move(*found);
    }
    Result<std::vector<WorkerStats>> all = corering::read_times(times_);
    return all ? std::move(*all) : std::vector<WorkerStats>();
  }

 private:
  pid_t pid_;
  Fd times_;
};

std::string name_of(pid_t pid) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
  return tools::printable(name);
}

/// On a terminal a table takes the place of the one before; elsewhere it follows, after an empty line.
bool print(const std::string& table, bool is_first) {
  static const bool on_terminal = ::isatty(STDOUT_FILENO) == 1;
  const char* const before = on_terminal ? "\033[H\033[J" : is_first ? "" : "\n";
  return std::fputs((before + table).c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

int show(const TopOptions& options, Doors& doors) {
  const std::string head = name_of(options.pid) + ", process " + std::to_string(options.pid) + "\n";
  Readings readings(options.pid);
  std::vector<WorkerStats> before = readings.read();
  auto then = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; options.iterations == 0 || i < options.iterations; ++i) {
    if (!doors.stay_closed(options.delay)) return 0;
    std::vector<WorkerStats> after = readings.read();
    const auto now = std::chrono::steady_clock::now();
    if (!print(head + top_table(before, after, now - then), i == 0))
      return errno == EPIPE ? 0 : complain(1, std::string("standard output: ") + std::strerror(errno));
    before = std::move(after);
    then = now;
  }
  return 0;
}

}  // namespace

int top_command(const std::vector<std::string_view>& arguments) {
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::printf("%s\n%s\n", top_usage, top_help);
    return std::fflush(stdout) == 0 ? 0 : complain(1, std::strerror(errno));
  }
  TopOptions options;
  if (const std::string wrong = parse(arguments, options); !wrong.empty()) return complain(2, wrong);
  Doors doors(options.pid);  // before the wish is known: nothing may end us without taking it back
  const Result<trace::Attachment> attached = trace::Attachment::to(options.pid, trace::Level::hist);
  if (!attached) return complain(1, why_not(options.pid, attached.error()));
  return show(options, doors);
}

}  // namespace iotrace
