/// replay_file.hpp — the file of a recorded run: a head, and events one after the other.
///
/// It is written through a mapping, so all that was recorded is there after a crash; then zeros follow, which
/// are no event. A file that ends without the last event and without zeros has been cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <corering/base/fd.hpp>
#include <corering/uring/capabilities.hpp>

#include "replay/run_event.hpp"

namespace corering::replay {

/// What the file begins with.
struct FileHead {
  static constexpr std::array<char, 16> usual_magic = {'c', 'o', 'r', 'e', 'r', 'i', 'n', 'g',
                                                       '-', 'r', 'e', 'p', 'l', 'a', 'y', '\n'};
  std::array<char, 16> magic = usual_magic;
  std::uint32_t version = 1;
  std::uint32_t has_bytes = 0;
  std::array<char, 16> program{};
  std::array<std::uint8_t, 256> opcodes{};
  std::array<std::uint8_t, 32> features{};
  std::uint64_t check = 0;

  [[nodiscard]] static FileHead of(const Capabilities& capabilities, bool has_bytes) noexcept;
  [[nodiscard]] Capabilities capabilities() const noexcept;
  [[nodiscard]] std::uint64_t right_check() const noexcept;
  /// The name of the program that was recorded. Who has written the file may not have ended it.
  [[nodiscard]] std::string_view program_text() const noexcept;
};

/// Returns the name of this program.
[[nodiscard]] std::array<char, 16> program_name() noexcept;

/// thread: one
class ReplayFileWriter {
 public:
  ReplayFileWriter() noexcept = default;
  ReplayFileWriter(ReplayFileWriter&&) = delete;
  ~ReplayFileWriter();

  /// Returns 0 or -errno.
  int open(const std::filesystem::path& path, const FileHead& head) noexcept;
  /// Returns 0 or -errno; then nothing has been written. A child after fork() writes nothing.
  int append(const Event& event) noexcept;
  /// Cuts off what was not used.
  void finish() noexcept;

  /// Returns true in the process that has opened the file: a child after fork() shares it.
  [[nodiscard]] bool is_mine() const noexcept { return owner_ == ::getpid(); }

  [[nodiscard]] std::uint64_t events() const noexcept { return events_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_.value(); }

 private:
  [[nodiscard]] int make_room(std::size_t size) noexcept;
  void put(const void* bytes, std::size_t size) noexcept;

  Fd file_;
  pid_t owner_ = 0;
  std::byte* memory_ = nullptr;
  std::size_t mapped_ = 0;
  std::size_t used_ = 0;
  std::uint64_t events_ = 0;
  Hash hash_;
};

/// An event as it was recorded.
struct Recorded {
  Event event;
  const std::byte* bytes = nullptr;  ///< what was written, one after the other
  std::size_t size = 0;
};

class ReplayFileReader {
 public:
  /// Reads the file and checks all of it. The error is one line.
  [[nodiscard]] static std::expected<ReplayFileReader, std::string> open(const std::filesystem::path& path);
  /// The same with what was in the file.
  [[nodiscard]] static std::expected<ReplayFileReader, std::string> of(std::vector<std::byte> content,
                                                                       const std::string& name);

  [[nodiscard]] const FileHead& head() const noexcept { return head_; }
  /// Returns the next event, or Kind::nothing at the end of a run that did not end by itself.
  [[nodiscard]] Recorded peek() const noexcept;
  void go_on() noexcept;

  [[nodiscard]] std::uint64_t events() const noexcept { return events_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_.value(); }

 private:
  [[nodiscard]] std::string check_head();
  [[nodiscard]] std::string check_events();
  [[nodiscard]] std::string check_event() const;
  [[nodiscard]] EventHead head_of_next() const noexcept;

  std::vector<std::byte> content_;
  FileHead head_;
  std::size_t at_ = 0;
  std::uint64_t events_ = 0;
  Hash hash_;
};

}  // namespace corering::replay
