/// list_directory.hpp — the entries of a directory, without blocking a worker.
#pragma once

#include <string>
#include <vector>

#include <corering/base/fd.hpp>
#include <corering/core/blocking_pool.hpp>
#include <corering/core/task.hpp>

namespace corering {

struct DirectoryEntry {
  std::string name;
  /// DT_REG, DT_DIR and the others of readdir(3); DT_UNKNOWN if the file system does not say it.
  unsigned char type = 0;
};

/// Returns every entry except "." and "..", in the order of their names. It calls opendir(3) and readdir(3)
/// on a thread of `pool`, because io_uring has no operation for this.
/// cancelled: only while it waits for a thread
/// errors: the errno of the call that failed
[[nodiscard]] Task<Result<std::vector<DirectoryEntry>>> list_directory(BlockingPool& pool, std::string path);

namespace detail {
/// The same for an open directory.
/// keep alive: `directory`, until it has returned
[[nodiscard]] Task<Result<std::vector<DirectoryEntry>>> list_open_directory(BlockingPool& pool,
                                                                            const Fd& directory);
}  // namespace detail

}  // namespace corering
