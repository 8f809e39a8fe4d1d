/// list_directory.cpp — readdir on a pool.
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <memory>

#include <corering/fs/list_directory.hpp>
#include <corering/sync/offload.hpp>

namespace corering {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

Result<std::vector<DirectoryEntry>> list_blocking(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (directory == nullptr) return failure(errno);
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
  const auto list = [&path] { return list_blocking(path); };
  co_return co_await offload(pool, list);
}

}  // namespace corering
