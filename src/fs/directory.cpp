/// directory.cpp — walking, making and removing directories.
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>

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

/// Removes everything in an open directory. It uses descriptors, so that nobody can put a link where a
/// directory was.
Task<Result<void>> remove_content(BlockingPool& pool, const Fd& directory) {
  Result<std::vector<DirectoryEntry>> entries =
      co_await list_directory(pool, "/proc/self/fd/" + std::to_string(directory.get()));
  if (!entries) co_return std::unexpected(entries.error());
  for (const DirectoryEntry& entry : *entries) {
    const char* const name = entry.name.c_str();
    Result<void> removed = failure(EISDIR);
    if (entry.type != DT_DIR) removed = co_await async_unlinkat(directory.get(), name);
    if (!removed && removed.error() == std::errc::is_a_directory) {
      const Result<Fd> below = co_await async_openat(directory.get(), name, directory_itself);
      if (!below) co_return std::unexpected(below.error());
      removed = co_await remove_content(pool, *below);
      if (removed) removed = co_await async_unlinkat(directory.get(), name, AT_REMOVEDIR);
    }
    if (!removed) co_return removed;
  }
  co_return Result<void>();
}

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
  const Result<Fd> opened = co_await async_openat(AT_FDCWD, path_.c_str(), directory_itself);
  if (!opened) co_return std::unexpected(opened.error());
  const Result<void> emptied = co_await remove_content(pool, *opened);
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
