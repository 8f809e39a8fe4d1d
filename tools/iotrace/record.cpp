/// record.cpp — watches a program from its begin to its end.
#include "record.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include <corering/base/fd.hpp>
#include <corering/trace/attachment.hpp>
#include <corering/trace/recording.hpp>

#include "common/text.hpp"
#include "kernel_lane.hpp"
#include "lane_cost.hpp"
#include "lane_report.hpp"
#include "watched_program.hpp"

namespace iotrace {
namespace {

using corering::Result;
namespace trace = corering::trace;

/// What the shell and env(1) answer when they cannot start a program, and timeout(1)'s answer for "not as
/// asked".
enum ExitCode : int { wrong_call = 2, incomplete = 124, failed = 125, not_executable = 126, not_found = 127 };

constexpr const char* record_help = R"(
Starts COMMAND, and records what the kernel does for its io_uring rings, and when its threads lose and get a
processor. COMMAND needs not be built with corering. Only root sees the kernel: `iotrace doctor` tells more.

  -o OUT                the trace file (trace.crt)
  --sample 1/N          watches one of N values of user_data: a power of two, for busy programs
  --buffer BYTES        room for reports that iotrace has not taken yet, for each processor (2M)
  --help

The exit code is that of COMMAND; 128 and the signal's number if a signal has ended it; 124 if it was 0 but
reports were lost, so that the trace is incomplete; 125 if iotrace itself has failed, or was called wrongly; 126 if
COMMAND cannot be executed, and 127 if it is not there.)";

constexpr const char* attach_help = R"(
Watches the process PID until Ctrl-C, until it ends, or for a while, and writes what it has seen. A program that is
built with corering records its own events meanwhile, too.

  -o OUT                the trace file (trace.crt)
  --for SECONDS         for so long, at most
  --capture LIMITS      meanwhile, has a program that is built with corering keep what is slow, so that newer
                        events do not replace it: slow=5ms or slow=p99, failed, stall=20ms, every=1s, with commas
                        in between
  --sample 1/N          watches one of N values of user_data: a power of two, for busy programs
  --buffer BYTES        room for reports that iotrace has not taken yet, for each processor (2M)
  --help

The exit code is 0; 124 if reports were lost, so that the trace is incomplete; 125 if iotrace has failed; 2 for a
wrong call.)";

struct LaneOptions {
  std::string out = "trace.crt";
  std::uint32_t one_in = 1;
  std::uint64_t buffer_bytes = std::uint64_t{1} << 21;
  std::uint64_t seconds = 0;  // 0: no limit; this and the next one are of attach only
  std::optional<trace::Capture> capture;
  std::vector<std::string> words;
};

int complain(int code, const std::string& sentence) {
  std::fprintf(stderr, "iotrace: %s\n", tools::printable(sentence).c_str());
  return code;
}

/// Takes "65536", "64K", "1M" or "1G".
std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  int shift = 0;
  for (const auto& [letter, bits] : {std::pair('K', 10), std::pair('M', 20), std::pair('G', 30)}) {
    if (text.ends_with(letter)) shift = bits;
  }
  if (shift != 0) text.remove_suffix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_all = error == std::errc() && end == text.data() + text.size();
  if (!is_all || number == 0 || number > (std::uint64_t{1} << 30 >> shift)) return std::nullopt;
  return number << shift;
}

bool parse_pid(std::string_view text, pid_t& pid) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() && pid > 0;
}

std::optional<std::uint32_t> parse_sample(std::string_view text) {
  if (!text.starts_with("1/")) return std::nullopt;
  const auto number = parse_bytes(text.substr(2));
  if (!number || !std::has_single_bit(*number) || *number > 1U << 20) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

/// Takes one option and its value. Returns a sentence that says what is wrong, or an empty text.
std::string take_option(std::string_view option, std::string_view value, LaneOptions& options) {
  if (option == "-o" || option == "--output") {
    options.out = value;
    return value.empty() ? "-o needs the name of a file" : "";
  }
  if (option == "--sample") {
    const auto one_in = parse_sample(value);
    options.one_in = one_in.value_or(1);
    return one_in ? "" : "--sample is 1/2, 1/4, 1/8 and so on, not '" + std::string(value) + "'";
  }
  if (option == "--for") {
    const auto seconds = parse_bytes(value);
    options.seconds = seconds.value_or(0);
    return seconds ? "" : "--for is a number of seconds, not '" + std::string(value) + "'";
  }
  if (option == "--capture") {
    options.capture = trace::parse_capture(value);
    return options.capture
               ? ""
               : "--capture is slow=5ms, slow=p99, failed or stall=20ms, and may have every=1s, not '" +
                     std::string(value) + "'";
  }
  const auto bytes = parse_bytes(value);
  options.buffer_bytes = bytes.value_or(1);
  return bytes ? "" : "--buffer is a number of bytes up to 1G, such as 8M, not '" + std::string(value) + "'";
}

bool takes_value(std::string_view option) {
  return option == "-o" || option == "--output" || option == "--sample" || option == "--buffer";
}

std::string parse(const std::vector<std::string_view>& words, const char* usage, LaneOptions& options) {
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with('-') && words[at] != "--"; ++at) {
    std::string_view option = words[at];
    std::optional<std::string_view> value;
    if (const std::size_t equals = option.find('='); option.starts_with("--") && equals != option.npos) {
      value = option.substr(equals + 1);
      option = option.substr(0, equals);
    }
    const bool is_of_attach = option == "--for" || option == "--capture";
    if (!takes_value(option) && (!is_of_attach || usage != attach_usage))
      return "unknown option '" + std::string(words[at]) + "'; " + usage;
    if (!value && ++at == words.size()) return std::string(option) + " needs a value; " + usage;
    if (std::string wrong = take_option(option, value.value_or(words[at]), options); !wrong.empty())
      return wrong;
  }
  if (at < words.size() && words[at] == "--") ++at;
  options.words.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return options.words.empty() ? usage : "";
}

/// What can be told of every process of this boot.
trace::Recording describe_boot() {
  trace::Recording recording;
  timespec raw{};
  timespec unix_time{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
  ::clock_gettime(CLOCK_REALTIME, &unix_time);
  recording.started_ns = raw.tv_sec * 1'000'000'000 + raw.tv_nsec;
  recording.started_unix = unix_time.tv_sec * 1'000'000'000 + unix_time.tv_nsec;
  recording.kernel = "io_uring";
  std::ifstream("/proc/sys/kernel/random/boot_id") >> recording.boot_id;
  return recording;
}

/// Says on a terminal what takes long.
void say(const std::string& what) {
  if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[Kiotrace: %s", what.c_str());
}
void say_nothing_more() {
  if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[K");
}

int could_not_begin(const std::string& program, int error) {
  const int code = error == ENOENT ? not_found : not_executable;
  return complain(code, program + ": " + std::strerror(error));
}

/// Joins what the lane has seen, and tells about it.
LaneRequests finish(KernelLane& lane, std::uint32_t one_in) {
  say("joining " + std::to_string(lane.reports()) + " reports...");
  lane.stop();
  LaneRequests requests = join_requests(lane.take());
  const LaneCost cost{.in_program_ns = measure_lane_cost(), .in_iotrace_ns = lane.reader_ns()};
  say_nothing_more();
  std::fputs(report_of_lane(requests, lane, cost, one_in).c_str(), stderr);
  return requests;
}

/// Returns 0, or the exit code of a trace that could not be written, or that lacks something.
int outcome(const std::string& out, const Result<void>& written, const LaneRequests& requests) {
  if (!written) return complain(failed, out + ": " + written.error().message());
  std::fprintf(stderr, "iotrace: the trace is in %s\n", tools::printable(out).c_str());
  return is_incomplete(requests) ? incomplete : 0;
}

trace::Recording describe(pid_t process) {
  trace::Recording recording = describe_boot();
  recording.pid = process;
  std::ifstream name("/proc/" + std::to_string(process) + "/comm");
  std::getline(name, recording.program);
  return recording;
}

/// The program may have written the file itself: then it gets what the kernel lane has seen, too.
Result<void> write(const std::string& out, trace::Recording recording, const LaneRequests& requests) {
  if (std::filesystem::exists(out)) return trace::add_threads(out, requests.threads);
  recording.threads = requests.threads;
  return trace::write_recording(out, recording);
}

/// Removes an old trace. Returns a sentence if that is no trace, but something that must not be lost, or if
/// no file can be made there: it is better to know before the program has run.
std::string make_way(const std::string& out) {
  std::error_code unknown;
  const std::string folder = std::filesystem::path(out).parent_path();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0) return out + ": " + std::strerror(errno);
  if (!std::filesystem::exists(out, unknown)) return "";
  if (!trace::open_recording(out)) return out + ": is there, and is no trace file; name another one with -o";
  return std::filesystem::remove(out, unknown) ? "" : out + ": " + unknown.message();
}

/// The program writes there itself, and may do so from another directory.
std::string absolute(const std::string& path) { return std::filesystem::absolute(path); }

int record(const LaneOptions& options) {
  if (const std::string wrong = make_way(options.out); !wrong.empty()) return complain(failed, wrong);
  WatchedProgram program(options.words, {{"CORERING_TRACE", "full,file=" + absolute(options.out)}});
  const pid_t process = program.process();
  if (process < 0) return complain(failed, std::string("fork(2): ") + std::strerror(errno));
  KernelLane lane({.buffer_bytes = options.buffer_bytes, .one_in = options.one_in});
  lane.watch_from_exec(process);
  if (const int error = program.begin(); error != 0) return could_not_begin(options.words[0], error);
  trace::Recording recording = describe(process);
  const int code = program.wait([] {});
  const LaneRequests requests = finish(lane, options.one_in);
  const Result<void> written = write(options.out, std::move(recording), requests);
  const int own = outcome(options.out, written, requests);
  return code != 0 ? code : own;
}

/// Waits until the process ends, a signal comes, or the time is over.
void wait_for_end(const corering::Fd& process, const sigset_t& signals, std::uint64_t seconds,
                  const KernelLane& lane) {
  const corering::Fd came(::signalfd(-1, &signals, SFD_CLOEXEC));
  for (std::uint64_t passed = 0; seconds == 0 || passed < seconds; ++passed) {
    say("watching since " + std::to_string(passed) + " s, " + std::to_string(lane.reports()) +
        " reports; Ctrl-C ends it");
    std::array<pollfd, 2> doors = {{{.fd = process.get(), .events = POLLIN, .revents = 0},
                                    {.fd = came.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(doors.data(), doors.size(), 1000) > 0) return;
  }
}

/// Sets the limits that were asked for. Returns a sentence if that cannot be.
std::string why_not_captured(Result<trace::Attachment>& attached, const LaneOptions& options) {
  if (!options.capture) return "";
  if (!attached) return "it records no events of its own, so nothing can be captured";
  const Result<void> kept = attached->keep(*options.capture);
  if (kept) return "";
  return kept.error() == std::errc::device_or_resource_busy
             ? "it has limits for captures already: its own, or those of another iotrace attach"
             : kept.error().message();
}

int attach(pid_t pid, const LaneOptions& options) {
  const corering::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.is_open())
    return complain(failed, "process " + std::to_string(pid) + ": " + std::strerror(errno));
  if (const std::string wrong = make_way(options.out); !wrong.empty()) return complain(failed, wrong);
  sigset_t signals{};
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  KernelLane lane({.buffer_bytes = options.buffer_bytes, .one_in = options.one_in});
  lane.watch_process(pid);
  trace::Recording recording = describe(pid);
  {
    Result<trace::Attachment> attached = trace::Attachment::to(pid, trace::Level::full);
    if (const std::string wrong = why_not_captured(attached, options); !wrong.empty())
      return complain(failed, "process " + std::to_string(pid) + ": " + wrong);
    if (!attached && attached.error().value() != ENOENT)
      complain(0, "its own events are not recorded: " + attached.error().message());
    wait_for_end(process, signals, options.seconds, lane);
    if (attached) {
      if (Result<trace::Recording> own = attached->recording()) recording = std::move(*own);
    }
  }
  const LaneRequests requests = finish(lane, options.one_in);
  recording.threads.insert(recording.threads.end(), requests.threads.begin(), requests.threads.end());
  return outcome(options.out, trace::write_recording(options.out, recording), requests);
}

bool asks_for_help(const std::vector<std::string_view>& arguments) {
  return !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h");
}

int print(const char* usage, const char* help) {
  std::printf("%s\n%s\n", usage, help);
  return std::fflush(stdout) == 0 ? 0 : complain(failed, std::strerror(errno));
}

}  // namespace

int record_command(const std::vector<std::string_view>& arguments) {
  if (asks_for_help(arguments)) return print(record_usage, record_help);
  LaneOptions options;
  if (const std::string wrong = parse(arguments, record_usage, options); !wrong.empty())
    return complain(failed, wrong);  // 2 would be COMMAND's
  return record(options);
}

int attach_command(const std::vector<std::string_view>& arguments) {
  if (asks_for_help(arguments)) return print(attach_usage, attach_help);
  LaneOptions options;
  std::vector<std::string_view> words = arguments;  // the PID may stand before the options
  if (!words.empty() && !words[0].starts_with('-')) std::ranges::rotate(words, words.begin() + 1);
  std::string wrong = parse(words, attach_usage, options);
  pid_t pid = 0;
  if (wrong.empty() && (options.words.size() != 1 || !parse_pid(options.words[0], pid))) wrong = attach_usage;
  if (!wrong.empty()) return complain(wrong_call, wrong);
  return attach(pid, options);
}

}  // namespace iotrace
