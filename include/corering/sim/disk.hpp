/// disk.hpp — the files of a simulated machine, which outlive its worlds: what a program finds after a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <corering/sim/faults.hpp>

namespace corering::sim {

class FileSystem;

/// A disk. Files that were written are in the page cache, and on the disk itself when they have been synced;
/// the name of a new, renamed or removed file is there when its directory has been synced.
/// keep alive: it, longer than the worlds that use it
class Disk {
 public:
  Disk();
  Disk(Disk&&) = delete;
  ~Disk();

  /// What a crash has done.
  struct Loss {
    std::size_t kept = 0;         ///< unsynced writes that have reached the disk all the same
    std::size_t lost = 0;         ///< unsynced writes that have not
    std::size_t torn = 0;         ///< of those that were kept: only their first sectors
    std::size_t misdirected = 0;  ///< of those that were kept: they have hit another place of the file
    std::size_t corrupted = 0;    ///< of those that were kept: one bit of them is another one
    std::size_t directories = 0;  ///< directories whose unsynced names are lost
  };

  /// The machine loses its power, and starts again. With Fault::lost_unsynced, torn_write, misdirected_write
  /// and corrupted_write the seed decides, for each write that was not synced, what is left of it; their hits
  /// are counted. Without them everything that was written is there.
  Loss crash(std::uint64_t seed, Faults& faults);

  /// Returns what is in a file, as a program would read it now; nothing if there is no such file.
  [[nodiscard]] std::string content(const std::string& path) const;
  [[nodiscard]] bool has(const std::string& path) const;
  /// Puts a file there, synced.
  void put(const std::string& path, std::string content);

  [[nodiscard]] FileSystem& files() noexcept { return *files_; }

 private:
  std::unique_ptr<FileSystem> files_;
};

}  // namespace corering::sim
