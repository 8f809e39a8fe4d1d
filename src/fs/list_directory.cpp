/// list_directory.cpp — readdir on a pool.
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>

#include <corering/base/outside.hpp>
#include <corering/fs/list_directory.hpp>
#include <corering/sync/offload.hpp>

namespace corering {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

Result<std::vector<DirectoryEntry>> list_in(Outside& world, int at, const char* path) {
  std::vector<DirectoryEntry> entries;
  const int result = world.list_directory(at, path, [&entries](const std::string& name, bool is_directory) {
    entries.push_back({name, static_cast<unsigned char>(is_directory ? DT_DIR : DT_REG)});
  });
  if (result < 0) return failure(-result);
  return entries;
}

/// Lists the directory at `path` below the open directory `at`, which may be AT_FDCWD.
Result<std::vector<DirectoryEntry>> list_blocking(int at, const char* path) {
  if (Outside* const world = os::world(); world != nullptr) return list_in(*world, at, path);
  Fd opened(::openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) return failure(errno);
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(opened.get()));
  if (directory == nullptr) return failure(errno);
  (void)opened.release();
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;  // otherwise the end and an error look alike
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") entries.push_back({std::move(name), entry->d_type});
  }
  if (errno != 0) return failure(errno);
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

}  // namespace

Task<Result<std::vector<DirectoryEntry>>> list_directory(BlockingPool& pool, std::string path) {
  const auto list = [&path] { return list_blocking(AT_FDCWD, path.c_str()); };
  co_return co_await offload(pool, list);
}

Task<Result<std::vector<DirectoryEntry>>> detail::list_open_directory(BlockingPool& pool,
                                                                      const Fd& directory) {
  const auto list = [&directory] { return list_blocking(directory.get(), "."); };
  co_return co_await offload(pool, list);
}

}  // namespace corering
