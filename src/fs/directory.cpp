/// directory.cpp — walking, making and removing directories.
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>

#include <corering/base/assert.hpp>
#include <corering/fs/directory.hpp>
#include <corering/io/path_calls.hpp>

namespace corering {
namespace {

std::string join(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

unsigned char type_of_mode(unsigned mode) noexcept { return static_cast<unsigned char>(IFTODT(mode)); }

/// Asks for the type, for file systems that do not store it in the directory.
Task<unsigned char> type_of(std::string path) {
  struct statx status{};
  const Result<void> known =
      co_await async_statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, status);
  co_return known ? type_of_mode(status.stx_mode) : static_cast<unsigned char>(DT_REG);
}

/// One level of the walk, with the entries that are left.
struct Level {
  std::string path;  // below the top
  std::vector<DirectoryEntry> entries;
  std::size_t next = 0;
};

// Opens a directory, but not through a link: a link in its place is ELOOP or ENOTDIR.
constexpr int directory_itself = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/// A directory that is being emptied. Its descriptor may be closed while we are further down.
struct Emptied {
  Fd fd;
  std::string name;  // in the directory above
  std::vector<DirectoryEntry> entries;
  std::size_t next = 0;
  struct statx identity{};  // once fd has been closed
};

/// Removes everything in an open directory. It uses descriptors and not paths, so that nobody can put a link
/// where a directory was. A tree may be deeper than there are descriptors, so only the lowest few directories
/// stay open, and the way up is "..", which must lead to where we came from.
class Emptier {
 public:
  Emptier(BlockingPool& pool, Fd top) : pool_(pool) { enter(std::move(top), ""); }

  Task<Result<void>> run() {
    Result<void> done = co_await list();
    while (done) {
      Emptied& lowest = way_.back();
      if (lowest.next < lowest.entries.size()) {
        done = co_await remove(lowest.entries[lowest.next++]);
      } else if (way_.size() > 1) {
        done = co_await leave();
      } else {
        break;
      }
    }
    co_return done;
  }

 private:
  static constexpr std::size_t most_open = 8;
  static constexpr unsigned identity = STATX_INO;

  void enter(Fd directory, std::string name) {
    Emptied below;
    below.fd = std::move(directory);
    below.name = std::move(name);
    way_.push_back(std::move(below));
  }

  Task<Result<void>> list() {
    Result<std::vector<DirectoryEntry>> entries = co_await detail::list_open_directory(pool_, way_.back().fd);
    if (!entries) co_return std::unexpected(entries.error());
    way_.back().entries = std::move(*entries);
    co_return Result<void>();
  }

  /// Removes the entry, or goes into it if it is a directory.
  Task<Result<void>> remove(const DirectoryEntry& entry) {
    CORERING_ASSERT(way_.back().fd.is_open(), "the directory that is being emptied is open");
    const char* const name = entry.name.c_str();
    const int directory = way_.back().fd.get();
    if (entry.type != DT_DIR) {
      const Result<void> removed = co_await async_unlinkat(directory, name);
      if (removed || removed.error() != std::errc::is_a_directory) co_return removed;
    }
    Result<Fd> below = co_await async_openat(directory, name, directory_itself);
    if (!below) co_return std::unexpected(below.error());
    if (way_.size() >= most_open) {
      const Result<void> closed = co_await close(way_[way_.size() - most_open]);
      if (!closed) co_return closed;
    }
    enter(std::move(*below), entry.name);
    co_return co_await list();
  }

  /// Closes a directory above, which "..", asked later, must lead to again.
  static Task<Result<void>> close(Emptied& above) {
    if (!above.fd.is_open()) co_return Result<void>();
    const Result<void> known =
        co_await async_statx(above.fd.get(), "", AT_EMPTY_PATH, identity, above.identity);
    if (!known) co_return known;
    co_return co_await async_close(std::move(above.fd));
  }

  /// Goes up, and removes the directory that is empty now.
  Task<Result<void>> leave() {
    CORERING_ASSERT(way_.size() > 1, "nobody leaves the top");
    const Emptied emptied = std::move(way_.back());
    way_.pop_back();
    Emptied& above = way_.back();
    if (!above.fd.is_open()) {
      const Result<void> opened = co_await open_again(above, emptied.fd);
      if (!opened) co_return opened;
    }
    co_return co_await async_unlinkat(above.fd.get(), emptied.name.c_str(), AT_REMOVEDIR);
  }

  static Task<Result<void>> open_again(Emptied& above, const Fd& below) {
    Result<Fd> opened = co_await async_openat(below.get(), "..", directory_itself);
    if (!opened) co_return std::unexpected(opened.error());
    struct statx found{};
    const Result<void> known = co_await async_statx(opened->get(), "", AT_EMPTY_PATH, identity, found);
    if (!known) co_return known;
    if (!is_same(found, above.identity)) co_return failure(ESTALE);
    above.fd = std::move(*opened);
    co_return Result<void>();
  }

  static bool is_same(const struct statx& one, const struct statx& other) noexcept {
    return one.stx_ino == other.stx_ino && one.stx_dev_major == other.stx_dev_major &&
           one.stx_dev_minor == other.stx_dev_minor;
  }

  BlockingPool& pool_;
  std::vector<Emptied> way_;  // from the top down to where we are
};

}  // namespace

std::string Directory::operator/(const std::string& name) const { return join(path_, name); }

AsyncGenerator<WalkEntry> Directory::walk(BlockingPool& pool) const {
  std::vector<Level> levels;
  Result<std::vector<DirectoryEntry>> top = co_await list_directory(pool, path_);
  if (!top) {
    WalkEntry nothing;
    nothing.type = DT_DIR;
    nothing.error = top.error();
    co_yield nothing;
    co_return;
  }
  levels.push_back({.path = "", .entries = std::move(*top)});
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.next == level.entries.size()) {
      levels.pop_back();
      continue;
    }
    const DirectoryEntry entry = level.entries[level.next++];
    WalkEntry found;
    found.path = join(level.path, entry.name);
    found.type = entry.type;
    if (found.type == DT_UNKNOWN) found.type = co_await type_of(join(path_, found.path));
    if (found.type == DT_DIR) {
      Result<std::vector<DirectoryEntry>> inside = co_await list_directory(pool, join(path_, found.path));
      if (inside) {
        levels.push_back({.path = found.path, .entries = std::move(*inside)});
      } else {
        found.error = inside.error();
      }
    }
    co_yield found;
  }
}

Task<Result<void>> Directory::create(mode_t mode) const {
  if (const Result<void> checked = check_path(path_); !checked) co_return checked;
  co_return co_await async_mkdirat(AT_FDCWD, path_.c_str(), mode);
}

Task<Result<void>> Directory::create_all(mode_t mode) const {
  if (const Result<void> checked = check_path(path_); !checked) co_return checked;
  for (std::size_t slash = path_.find('/', 1);; slash = path_.find('/', slash + 1)) {
    const std::string part = path_.substr(0, slash);
    const Result<void> made = co_await async_mkdirat(AT_FDCWD, part.c_str(), mode);
    if (!made && made.error() != std::errc::file_exists) co_return made;
    if (slash == std::string::npos) break;
  }
  struct statx status{};
  const Result<void> known = co_await async_statx(AT_FDCWD, path_.c_str(), 0, STATX_TYPE, status);
  if (known && !S_ISDIR(status.stx_mode)) co_return failure(ENOTDIR);
  co_return known;
}

Task<Result<void>> Directory::rename(std::string to) {
  Result<void> renamed = co_await corering::rename(path_, to);
  if (renamed) path_ = std::move(to);
  co_return renamed;
}

Task<Result<void>> Directory::remove() const {
  if (const Result<void> checked = check_path(path_); !checked) co_return checked;
  co_return co_await async_unlinkat(AT_FDCWD, path_.c_str(), AT_REMOVEDIR);
}

Task<Result<void>> Directory::remove_all(BlockingPool& pool) const {
  if (const Result<void> checked = check_path(path_); !checked) co_return checked;
  Result<Fd> opened = co_await async_openat(AT_FDCWD, path_.c_str(), directory_itself);
  if (!opened) co_return std::unexpected(opened.error());
  Emptier emptier(pool, std::move(*opened));
  const Result<void> emptied = co_await emptier.run();
  if (!emptied) co_return emptied;
  co_return co_await remove();
}

Task<Result<void>> unlink(std::string path) {
  if (const Result<void> checked = check_path(path); !checked) co_return checked;
  co_return co_await async_unlinkat(AT_FDCWD, path.c_str());
}

Task<Result<void>> rename(std::string from, std::string to) {
  if (const Result<void> checked = check_path(from); !checked) co_return checked;
  if (const Result<void> checked = check_path(to); !checked) co_return checked;
  co_return co_await async_renameat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str());
}

}  // namespace corering
