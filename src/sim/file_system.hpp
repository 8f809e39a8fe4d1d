/// file_system.hpp — files and their names: what is in the page cache, and what is on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <corering/sim/disk.hpp>

#include "sim/object.hpp"
#include "sim/random.hpp"

namespace corering::sim {

/// A file or a directory, whatever its names are.
struct Inode {
  /// A write that is not synced. `cut` says that the file was made this long instead.
  struct Write {
    std::size_t offset;
    std::string bytes;
    bool cut = false;
  };
  bool is_directory = false;
  std::uint32_t mode = 0;
  std::uint64_t number = 0;
  std::string now;      ///< with what is in the page cache
  std::string durable;  ///< on the disk
  std::vector<Write> unsynced;

  void write(std::size_t offset, std::string_view bytes);
  void resize(std::size_t size);
  void sync();
  static void apply(std::string& to, const Write& write);
};

/// A file that is open.
struct OpenFile final : Object {
  OpenFile() noexcept : Object(Kind::file) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override { return POLLIN | POLLOUT; }
  std::shared_ptr<Inode> inode;
  std::string path;  ///< of a directory: names are looked up below it
  bool reads = false;
  bool writes = false;
  bool appends = false;
  std::size_t position = 0;
};

/// Paths are absolute here; the working directory is the root.
class FileSystem {
 public:
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  FileSystem();

  /// Returns the path without ".", ".." and double slashes.
  [[nodiscard]] static std::string normal(std::string_view directory, std::string_view path);
  [[nodiscard]] static std::string directory_of(const std::string& path);

  [[nodiscard]] std::shared_ptr<Inode> find(const std::string& path) const;
  /// Makes a file or a directory. Returns 0 or -errno.
  int make(const std::string& path, std::uint32_t mode, bool is_directory);
  int remove(const std::string& path, bool is_directory);
  int rename(const std::string& from, const std::string& to, bool may_replace);
  int link(const std::string& from, const std::string& to);
  [[nodiscard]] unsigned links_of(const Inode& inode) const noexcept;
  /// Returns the names in a directory, in their order, and whether each is a directory itself.
  [[nodiscard]] std::vector<std::pair<std::string, bool>> entries(const std::string& directory) const;

  /// Makes the names in a directory durable.
  void sync_names(const std::string& directory);

  Disk::Loss crash(Random& random, Faults& faults);

  /// From now on nothing reaches the files: the power is off.
  void cut_power() noexcept { is_off_ = true; }
  [[nodiscard]] bool is_off() const noexcept { return is_off_; }

 private:
  [[nodiscard]] int check_new(const std::string& path) const;
  [[nodiscard]] bool has_entries(const std::string& directory) const;
  void forget_synced_in(const std::string& directory);

  Names now_;
  Names durable_;
  std::uint64_t made_ = 0;
  bool is_off_ = false;
};

}  // namespace corering::sim
