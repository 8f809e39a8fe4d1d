/// key_value_store.hpp — a small store that keeps its promises, also when the power goes off: a log with one
/// line for each value, and a checksum in each line. docs/CRASH_TEST.md tests it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <corering/corering.hpp>

/// What the store takes care of. The tests have copies with one `false` each, and find out what that breaks.
struct Careful {
  static constexpr bool syncs_before_it_answers = true;
  static constexpr bool syncs_the_directory = true;
  static constexpr bool checks_its_lines = true;
};

template <class Care = Careful>
class KeyValueStore {
 public:
  using Values = std::map<std::string, std::string>;

  /// Reads the log of a directory, and begins a new one that has the last value of each key.
  static corering::Task<corering::Result<KeyValueStore>> open(std::string directory) {
    const corering::Result<std::string> log = co_await corering::read_to_string(directory + "/log");
    if (!log && log.error() != std::errc::no_such_file_or_directory) co_return std::unexpected(log.error());
    Values values = log ? values_in(*log) : Values();
    constexpr corering::OpenOptions emptied{.write = true, .create = true, .truncate = true};
    corering::Result<corering::File> file = co_await corering::File::open(directory + "/log.new", emptied);
    if (!file) co_return std::unexpected(file.error());
    KeyValueStore store(std::move(*file), std::move(values));
    const corering::Result<void> replaced = co_await store.replace_log(directory);
    if (!replaced) co_return std::unexpected(replaced.error());
    co_return std::move(store);
  }

  const Values& values() const noexcept { return values_; }

  /// When it has succeeded, the value is safe. After a failure every put fails, until the store is opened
  /// again: nobody knows what is on the disk. One put at a time; no spaces in keys, no line ends in values.
  corering::Task<corering::Result<void>> put(std::string key, std::string value) {
    if (key.find_first_of(" \n") != key.npos || value.find('\n') != value.npos)
      co_return std::unexpected(std::make_error_code(std::errc::invalid_argument));
    if (std::exchange(is_broken_, true)) co_return std::unexpected(std::make_error_code(std::errc::io_error));
    const std::string line = line_of(key, value);
    const corering::Result<void> written = co_await file_.write_all_at(line, size_);
    if (!written) co_return std::unexpected(written.error());
    if constexpr (Care::syncs_before_it_answers) {
      const corering::Result<void> synced = co_await file_.sync();
      if (!synced) co_return std::unexpected(synced.error());
    }
    size_ += line.size();
    values_[std::move(key)] = std::move(value);
    is_broken_ = false;
    co_return corering::Result<void>();
  }

 private:
  KeyValueStore(corering::File file, Values values) : file_(std::move(file)), values_(std::move(values)) {}

  static std::uint64_t checksum(std::string_view text) noexcept {  // FNV-1a
    std::uint64_t sum = 0xcbf29ce484222325;
    for (const char byte : text) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    return sum;
  }
  static std::string line_of(const std::string& key, const std::string& value) {
    const std::string content = key + " " + value;
    std::array<char, 18> sum{};
    std::snprintf(sum.data(), sum.size(), "%016llx ", static_cast<unsigned long long>(checksum(content)));
    return sum.data() + content + "\n";
  }

  /// A crash leaves any part of a line. The first line that is not whole ends the log.
  static Values values_in(std::string_view log) {
    Values values;
    for (std::size_t end = 0; !log.empty(); log.remove_prefix(std::min(end + 1, log.size()))) {
      end = std::min(log.find('\n'), log.size());
      const std::string_view line = log.substr(0, end);
      const std::size_t space = line.find(' ', 17);
      if (space == line.npos) break;
      const std::string key(line.substr(17, space - 17)), value(line.substr(space + 1));
      if (Care::checks_its_lines && log.substr(0, end + 1) != line_of(key, value)) break;
      values[key] = value;
    }
    return values;
  }

  /// Writes what the log has to hold, and gives it its name. Both have to be safe before anything else is.
  corering::Task<corering::Result<void>> replace_log(std::string directory) {
    std::string text;
    for (const auto& [key, value] : values_) text += line_of(key, value);
    const corering::Result<void> written = co_await file_.write_all_at(text, 0);
    if (!written) co_return std::unexpected(written.error());
    size_ = text.size();
    const corering::Result<void> synced = co_await file_.sync();
    if (!synced) co_return std::unexpected(synced.error());
    const corering::Result<void> renamed =
        co_await corering::rename(directory + "/log.new", directory + "/log");
    if (!renamed || !Care::syncs_the_directory) co_return renamed;
    const corering::Result<corering::File> names = co_await corering::File::open(directory);
    if (!names) co_return std::unexpected(names.error());
    co_return co_await names->sync();
  }

  corering::File file_;
  Values values_;
  std::uint64_t size_ = 0;
  bool is_broken_ = false;
};
