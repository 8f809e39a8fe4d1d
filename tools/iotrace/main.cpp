/// main.cpp — iotrace: shows what really happened while a file was read.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <corering/base/fd.hpp>

#include "commands.hpp"
#include "common/text.hpp"
#include "lane_doctor.hpp"
#include "read_file.hpp"
#include "record.hpp"
#include "render.hpp"
#include "top.hpp"

namespace {

constexpr const char* usage =
    "usage: iotrace flow switch|callback FILE [--format text|mermaid|json] [--chunk BYTES] [--reads N] "
    "[--timeout SECONDS] [-o OUT]";

constexpr const char* help = R"(
Reads FILE through io_uring, and shows what really happened, step by step.

  switch                the main thread awaits each read on a worker
  callback              the coroutine starts on the worker and stays there
  --format FORMAT       text (the default), mermaid (a sequence diagram) or json
  --chunk BYTES         how much each read asks for, at most (65536)
  --reads N             ends after N reads, also if there is more
  --timeout SECONDS     how long nothing may come before it gives up (10)
  -o OUT                where to write; - is the standard output
  --help, --version

The first four reads are shown, and one that fails. SIGINT (Ctrl-C) and SIGTERM end the reading early; what was
recorded until then is shown. An option may also be written as --format=json. After -- nothing is an option.)";

enum class Format : std::uint8_t { text, mermaid, json };

struct Options {
  iotrace::ReadOptions read;
  Format format = Format::text;
  std::string out;
};

/// Prints one line and returns the exit code: 2 for a wrong call, 1 for a failure.
int complain(int code, const std::string& sentence) {
  const char* const who = sentence.starts_with("usage:") ? "" : "iotrace: ";
  std::fprintf(stderr, "%s%s\n", who, tools::printable(sentence).c_str());
  return code;
}

bool parse_number(std::string_view text, std::uint64_t most, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= most;
}

bool parse_format(std::string_view text, Format& format) {
  if (text == "text") return format = Format::text, true;
  if (text == "mermaid") return format = Format::mermaid, true;
  if (text == "json") return format = Format::json, true;
  return false;
}

/// Takes a number that an option names. Returns a sentence that says what is wrong, or an empty text if
/// nothing is.
std::string take_number(std::string_view option, std::string_view value, const char* of_what,
                        std::uint64_t most, std::uint64_t& number) {
  if (parse_number(value, most, number)) return "";
  return std::string(option) + " is a number of " + of_what + " from 1 to " + std::to_string(most) +
         ", not '" + std::string(value) + "'";
}

/// Takes one option and its value. Returns a sentence that says what is wrong, or an empty text if nothing
/// is.
std::string take_option(std::string_view option, std::string_view value, Options& options) {
  if (option == "--format") {
    if (parse_format(value, options.format)) return "";
    return "--format is text, mermaid or json, not '" + std::string(value) + "'";
  }
  if (option == "--chunk") return take_number(option, value, "bytes", 1U << 30, options.read.chunk);
  if (option == "--reads") return take_number(option, value, "reads", UINT64_MAX, options.read.reads);
  if (option == "--timeout") {
    std::uint64_t seconds = 0;
    std::string wrong = take_number(option, value, "seconds", 1'000'000, seconds);
    if (wrong.empty()) options.read.timeout = std::chrono::seconds(seconds);
    return wrong;
  }
  if (value.empty()) return "-o needs the name of a file, or -";
  options.out = value == "-" ? std::string_view() : value;
  return "";
}

bool takes_value(std::string_view option) {
  return option == "--format" || option == "--chunk" || option == "--reads" || option == "--timeout" ||
         option == "-o";
}

/// One option as it was written: its value stands in the same argument, as in --format=json, or in the next.
struct Written {
  std::string_view option;
  std::optional<std::string_view> value;
};

Written as_written(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (!argument.starts_with("--") || equals == std::string_view::npos)
    return {.option = argument, .value = std::nullopt};
  return {.option = argument.substr(0, equals), .value = argument.substr(equals + 1)};
}

std::string take_words(const std::vector<std::string_view>& words, Options& options) {
  if (words.size() != 3 || words[0] != "flow") return std::string(usage) + "; iotrace --help explains it";
  if (words[1] != "switch" && words[1] != "callback")
    return "the flow is switch or callback, not '" + std::string(words[1]) + "'";
  options.read.flow = words[1] == "switch" ? iotrace::Flow::switch_to_worker : iotrace::Flow::worker_callback;
  options.read.file = words[2];
  return "";
}

std::string parse(const std::vector<std::string_view>& arguments, Options& options) {
  std::vector<std::string_view> words;
  bool only_words = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (only_words || argument.empty() || argument[0] != '-' || argument == "-") {
      words.push_back(argument);
      continue;
    }
    if (argument == "--") {
      only_words = true;
      continue;
    }
    Written written = as_written(argument);
    if (!takes_value(written.option)) return "unknown option '" + std::string(argument) + "'; " + usage;
    if (!written.value && i + 1 == arguments.size())
      return std::string(argument) + " needs a value; " + usage;
    if (!written.value) written.value = arguments[++i];
    if (std::string wrong = take_option(written.option, *written.value, options); !wrong.empty())
      return wrong;
  }
  return take_words(words, options);
}

/// Answers --help and --version, wherever they stand among the options. Returns false if nobody asks.
bool answer_question(const std::vector<std::string_view>& arguments) {
  for (const std::string_view argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h")
      return std::printf("%s\n%s\n%s", usage, help, iotrace::commands_help().data()), true;
    if (argument == "--version") return std::puts("iotrace (corering) " CORERING_VERSION), true;
  }
  return false;
}

std::string render(const iotrace::FlowRecord& record, Format format) {
  switch (format) {
    case Format::text:
      return iotrace::render_text(record);
    case Format::mermaid:
      return iotrace::render_mermaid(record);
    case Format::json:
      return iotrace::render_json(record);
  }
  return "";
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool same_file(const std::string& one, const std::string& other) {
  struct stat a{}, b{};
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

int write_out(const std::string& path, const std::string& text) {
  if (path.empty()) {
    return write_all(STDOUT_FILENO, text)
               ? 0
               : complain(1, std::string("standard output: ") + std::strerror(errno));
  }
  const bool existed = ::access(path.c_str(), F_OK) == 0;
  const corering::Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!out.is_open()) return complain(1, path + ": " + std::strerror(errno));
  if (write_all(out.get(), text)) return 0;
  const int code = complain(1, path + ": " + std::strerror(errno));
  if (!existed) ::unlink(path.c_str());
  return code;
}

using Command = int (*)(const std::vector<std::string_view>& arguments);

/// Returns the sub-command that the first word names, or null. What is no such word is for `flow`.
Command command_of(const std::vector<std::string_view>& arguments) {
  struct Name {
    std::string_view name;
    Command command;
  };
  constexpr std::array commands = {Name{"record", iotrace::record_command},
                                   Name{"attach", iotrace::attach_command}, Name{"top", iotrace::top_command},
                                   Name{"doctor", iotrace::doctor_command}};
  if (arguments.empty()) return nullptr;
  const auto found = std::ranges::find(commands, arguments[0], &Name::name);
  return found == commands.end() ? nullptr : found->command;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  try {
    if (const Command command = command_of(arguments); command != nullptr)
      return command({arguments.begin() + 1, arguments.end()});
    if (const std::optional<int> code = iotrace::run_command(arguments)) return *code;
    if (answer_question(arguments)) return std::fflush(stdout) == 0 ? 0 : complain(1, std::strerror(errno));
    Options options;
    if (const std::string wrong = parse(arguments, options); !wrong.empty()) return complain(2, wrong);
    if (same_file(options.read.file, options.out))
      return complain(1, options.out + ": is the file to read; write to another one");
    const auto record = iotrace::read_and_record(options.read);
    if (!record) return complain(1, record.error());
    if (const std::string kernel = iotrace::kernel_if_not_real(*record);
        !kernel.empty() && options.format != Format::text) {
      std::fprintf(stderr, "iotrace: kernel: %s\n", kernel.c_str());
    }
    const int code = write_out(options.out, render(*record, options.format));
    return record->error.empty() ? code : complain(1, record->error);
  } catch (const std::bad_alloc&) {
    return complain(1, "there is not enough memory; a smaller --chunk needs less");
  } catch (const std::exception& error) {
    return complain(1, error.what());
  }
}
