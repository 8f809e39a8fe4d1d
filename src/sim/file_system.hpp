/// file_system.hpp — files and their names: what is in the page cache, and what is on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <corering/sim/disk.hpp>

#include "sim/object.hpp"
#include "sim/random.hpp"

namespace corering::sim {

/// A file, a directory or the place of a Unix socket, whatever its names are.
struct Inode {
  /// No file is longer: a write beyond it answers EFBIG, as where a file system ends.
  static constexpr std::size_t most_bytes = std::size_t{1} << 28;

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
  [[nodiscard]] bool is_socket() const noexcept { return S_ISSOCK(mode); }

  void write(std::size_t offset, std::string_view bytes);
  void resize(std::size_t size);
  void sync();
  static void apply(std::string& to, const Write& write);
};

/// Where a path leads. All but its last part is there, and is a directory.
struct Path {
  enum class End : std::uint8_t { name, slash, dot, dots, root };  ///< slash: a name, and a slash after it

  std::string whole;  ///< without ".", ".." and double slashes
  End end = End::name;

  [[nodiscard]] bool is_name() const noexcept { return end == End::name || end == End::slash; }
  [[nodiscard]] bool is_in(const Path& directory) const { return whole.starts_with(directory.whole + "/"); }
};

/// A file that is open.
struct OpenFile final : Object {
  OpenFile() noexcept : Object(Kind::file) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override { return POLLIN | POLLOUT; }
  std::shared_ptr<Inode> inode;
  bool reads = false;
  bool writes = false;
  bool appends = false;
  bool syncs = false;         ///< O_SYNC, O_DSYNC: each write
  bool is_only_path = false;  ///< O_PATH: it can be looked at, no more
  std::size_t position = 0;
};

/// Paths are absolute here; the working directory is the root.
class FileSystem {
 public:
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  FileSystem();

  /// Follows `path` from the directory. Returns 0, or -errno if what is passed on the way is missing or no
  /// directory.
  int resolve(std::string_view directory, std::string_view path, Path& into) const;
  /// Returns 0 and what is there, or -errno: also for a name with a slash after it that is no directory's.
  int look_up(const Path& path, std::shared_ptr<Inode>& found) const;
  [[nodiscard]] static std::string directory_of(const std::string& path);

  /// Returns what has this whole path, or null.
  [[nodiscard]] std::shared_ptr<Inode> find(const std::string& whole) const;
  /// Follows a path from the root. Returns what is there, or null.
  [[nodiscard]] std::shared_ptr<Inode> follow(std::string_view path) const;
  /// Returns a name of it; empty if it has none any more.
  [[nodiscard]] std::string path_of(const Inode& inode) const;
  /// Makes a file, a directory or the place of a socket (S_IFREG, S_IFDIR, S_IFSOCK). Returns 0 or -errno.
  int make(const Path& path, std::uint32_t mode, std::uint32_t type);
  int remove(const Path& path, bool is_directory);
  int rename(const Path& from, const Path& to, bool may_replace);
  int link(const std::shared_ptr<Inode>& linked, const Path& to);
  [[nodiscard]] unsigned links_of(const Inode& inode) const noexcept;
  /// Returns the names in a directory, in their order, and whether each is a directory itself.
  [[nodiscard]] std::vector<std::pair<std::string, bool>> entries(const std::string& directory) const;

  /// Makes the names in a directory durable, and those in the directories that a file was moved to from
  /// there, or from which one has come: a journal has both halves of such a rename, or none.
  void sync_names(const std::string& directory);

  Disk::Loss crash(Random& random, Faults& faults);

  /// From now on nothing reaches the files: the power is off.
  void cut_power() noexcept { is_off_ = true; }
  [[nodiscard]] bool is_off() const noexcept { return is_off_; }

 private:
  [[nodiscard]] int check_move(const Inode& moved, const Path& from, const Path& to) const;
  [[nodiscard]] bool has_entries(const std::string& directory) const;
  void forget_synced_in(const std::string& directory);
  [[nodiscard]] std::set<std::string> tied_to(const std::string& directory) const;

  Names now_;
  Names durable_;
  std::uint64_t made_ = 0;
  bool is_off_ = false;
};

}  // namespace corering::sim
