/// main.cpp — iotrace: shows what really happened while a file was read.
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <corering/base/fd.hpp>

#include "read_file.hpp"
#include "render.hpp"

namespace {

constexpr const char* usage =
    "usage: iotrace flow switch|callback FILE [--format text|mermaid|json] [--chunk BYTES] [--timeout "
    "SECONDS] "
    "[-o OUT]";

enum class Format : std::uint8_t { text, mermaid, json };

struct Options {
  iotrace::ReadOptions read;
  Format format = Format::text;
  std::string out;
};

/// Prints one line and returns the exit code: 2 for a wrong call, 1 for a failure.
int complain(int code, const std::string& sentence) {
  std::string line = sentence;
  for (char& c : line)
    c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;  // a file name may hold any byte
  std::fprintf(stderr, "iotrace: %s\n", line.c_str());
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

/// Takes one option and its value. Returns a sentence that says what is wrong, or an empty text if nothing
/// is.
std::string take_option(std::string_view option, std::string_view value, Options& options) {
  std::uint64_t number = 0;
  if (option == "--format") {
    return parse_format(value, options.format)
               ? ""
               : "--format is text, mermaid or json, not '" + std::string(value) + "'";
  }
  if (option == "--chunk") {
    if (!parse_number(value, 1U << 30, number))
      return "--chunk is a number of bytes from 1 to 1073741824, not '" + std::string(value) + "'";
    options.read.chunk = number;
    return "";
  }
  if (option == "--timeout") {
    if (!parse_number(value, 1'000'000, number))
      return "--timeout is a number of seconds from 1 to 1000000, not '" + std::string(value) + "'";
    options.read.timeout = std::chrono::seconds(number);
    return "";
  }
  options.out = value;
  return "";
}

bool takes_value(std::string_view option) {
  return option == "--format" || option == "--chunk" || option == "--timeout" || option == "-o";
}

std::string parse(const std::vector<std::string_view>& arguments, Options& options) {
  std::vector<std::string_view> words;
  bool only_words = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (only_words || argument.empty() || argument[0] != '-' || argument == "-") {
      words.push_back(argument);
    } else if (argument == "--") {
      only_words = true;
    } else if (!takes_value(argument)) {
      return "unknown option '" + std::string(argument) + "'; " + usage;
    } else if (i + 1 == arguments.size()) {
      return std::string(argument) + " needs a value; " + usage;
    } else if (std::string wrong = take_option(argument, arguments[++i], options); !wrong.empty()) {
      return wrong;
    }
  }
  if (words.size() != 3 || words[0] != "flow") return usage;
  if (words[1] != "switch" && words[1] != "callback")
    return "the flow is switch or callback, not '" + std::string(words[1]) + "'";
  options.read.flow = words[1] == "switch" ? iotrace::Flow::switch_to_worker : iotrace::Flow::worker_callback;
  options.read.file = words[2];
  return "";
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

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) return std::puts(usage), 0;
  try {
    Options options;
    if (const std::string wrong = parse(arguments, options); !wrong.empty()) return complain(2, wrong);
    if (same_file(options.read.file, options.out))
      return complain(1, options.out + ": is the file to read; write to another one");
    const auto record = iotrace::read_and_record(options.read);
    if (!record) return complain(1, record.error());
    return write_out(options.out, render(*record, options.format));
  } catch (const std::exception& error) {
    return complain(1, error.what());
  }
}
