/// trace_file.hpp — the file into which a process records, while it does.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <source_location>
#include <string_view>

#include <corering/base/fd.hpp>

#include "trace/layout.hpp"
#include "trace/shared_map.hpp"

namespace corering::trace {

/// The head is mapped as long as this lives; a ring, as long as somebody holds its SharedMap.
/// thread: one at a time, but find_place(): any
class TraceFile {
 public:
  /// Makes the file, or one in memory (memfd_create(2)) if there is no path. Returns null and -errno.
  [[nodiscard]] static std::shared_ptr<TraceFile> create(const std::filesystem::path& path, int& error);
  explicit TraceFile(Fd fd, std::filesystem::path path) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
  [[nodiscard]] layout::FileHead& head() const noexcept { return map_.as<layout::FileHead>(); }

  /// Adds a ring. It is not open if there is no room.
  [[nodiscard]] SharedMap add_ring(std::uint64_t capacity, bool populate) noexcept;
  /// Makes the file forget its rings. Who still writes to one does no harm.
  void forget_rings() noexcept;

  /// Writes down the present moment, so that ticks can be turned into time.
  void note_moment() noexcept;

  /// Returns true if the place is in the table.
  [[nodiscard]] bool has_place(std::uint64_t key) const noexcept;
  void add_place(std::uint64_t key, bool is_name, std::string_view file, std::string_view function,
                 std::uint32_t line) noexcept;

 private:
  bool open_head() noexcept;
  void fill_head() noexcept;
  [[nodiscard]] layout::PlaceEntry* places() const noexcept {
    return &map_.as<layout::PlaceEntry>(layout::places_offset);
  }
  std::uint32_t add_string(std::string_view text) noexcept;

  Fd fd_;
  std::filesystem::path path_;
  SharedMap map_;
  std::uint64_t end_ = layout::first_ring_offset;
  std::uint32_t strings_ = 1;  // the first one is the empty text
};

}  // namespace corering::trace
