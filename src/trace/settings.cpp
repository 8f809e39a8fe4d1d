/// settings.cpp — reads CORERING_TRACE, and chooses a file.
#include "trace/settings.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/capture_limits.hpp"

namespace corering::trace {
namespace {

constexpr const char* variable = "CORERING_TRACE";

bool take_number(std::string_view text, std::size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

bool take_word(std::string_view word, Options& options) {
  if (word == "off") return options.level = Level::off, true;
  if (word == "hist") return options.level = Level::hist, true;
  if (word == "full") return options.level = Level::full, true;
  if (word.starts_with("file=") && word.size() > 5) return options.file = word.substr(5), true;
  if (word.starts_with("events=")) return take_number(word.substr(7), options.events_per_thread);
  return take_capture_word(word, options.capture);
}

template <class Wishes>
bool take_words(std::string_view text, Wishes& wishes, bool (*take)(std::string_view, Wishes&)) {
  for (;;) {
    const std::size_t comma = text.find(',');
    if (!take(text.substr(0, comma), wishes)) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

bool take_replay_word(std::string_view word, ReplayWish& wish) {
  if (word == "bytes") return wish.bytes = true;
  if (!word.starts_with("file=") || word.size() == 5) return word == "replay";
  wish.file = word.substr(5);
  return true;
}

std::string name_of_this_program() {
  char name[16] = {};
  FILE* const file = std::fopen("/proc/self/comm", "re");
  if (file == nullptr) return "program";
  const std::size_t got = std::fread(name, 1, sizeof name - 1, file);
  std::fclose(file);
  std::string text(name, got > 0 && name[got - 1] == '\n' ? got - 1 : got);
  for (char& c : text) c = c == '/' || c == ' ' ? '_' : c;
  return text.empty() ? "program" : text;
}

}  // namespace

Result<std::optional<Options>> settings_of_environment() {
  const char* const text = ::secure_getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const Result<std::optional<ReplayWish>> wish = replay_wish_of_environment();
  if (!wish) return std::unexpected(wish.error());
  if (*wish) return Options{.level = Level::hist, .file = {}};  // times are what shows posts to the kernel
  Options options{.file = "auto"};
  if (!take_words(text, options, take_word)) return failure(EINVAL);
  if (options.capture.keeps_something() && options.level != Level::full) return failure(EINVAL);
  if (options.file == "memory") options.file.clear();
  if (options.level == Level::off) return std::nullopt;
  return options;
}

Result<std::optional<ReplayWish>> replay_wish_of_environment() {
  const char* const text = ::secure_getenv(variable);
  const std::string_view words = text == nullptr ? "" : text;
  if (words != "replay" && !words.starts_with("replay,")) return std::nullopt;
  ReplayWish wish;
  if (!take_words(words, wish, take_replay_word) || wish.file.empty()) return failure(EINVAL);
  return wish;
}

void say_why_not(const std::error_code& error) noexcept {
  const char* const text = ::secure_getenv(variable);
  if (error == std::errc::invalid_argument) {
    std::fprintf(
        stderr,
        "corering: %s=%s is not understood: write off, hist or full, then file=PATH or events=NUMBER, and "
        "with full slow=5ms or slow=p99, failed, stall=5ms and every=100ms, with commas in between; or "
        "replay,file=PATH and bytes; nothing is recorded\n",
        variable, text != nullptr ? text : "");
  } else if (text != nullptr && *text != '\0') {
    std::fprintf(stderr, "corering: %s=%s: %s; nothing is recorded\n", variable, text,
                 error.message().c_str());
  }
}

std::filesystem::path usual_directory() {
  const char* const runtime = ::secure_getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::filesystem::path(runtime) / "corering";
  return "/dev/shm/corering-" + std::to_string(::getuid());
}

std::filesystem::path file_to_use(const std::filesystem::path& wanted) {
  if (wanted != "auto") return wanted;
  const std::filesystem::path directory = usual_directory();
  // Where anybody may make directories, this one must be ours: otherwise the file cannot be made.
  struct stat status{};
  ::mkdir(directory.c_str(), 0700);
  if (::lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid())
    return directory / "belongs to somebody else" / "x";
  return directory / (name_of_this_program() + "-" + std::to_string(::getpid()) + ".crt");
}

}  // namespace corering::trace
