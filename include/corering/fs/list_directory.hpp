/// list_directory.hpp — what is in a directory, without blocking a worker.
#pragma once

#include <string>
#include <vector>

#include <corering/core/blocking_pool.hpp>
#include <corering/core/task.hpp>

namespace corering {

struct DirectoryEntry {
  std::string name;
  /// DT_REG, DT_DIR, ... as in readdir(3); DT_UNKNOWN where the file system does not say.
  unsigned char type = 0;
};

/// opendir(3) and readdir(3) on a thread of `pool`, because io_uring has no operation for it: every entry but
/// "." and "..", in the order of their names. The errno of what failed. While it waits for a thread it can be
/// cancelled.
[[nodiscard]] Task<Result<std::vector<DirectoryEntry>>> list_directory(BlockingPool& pool, std::string path);

}  // namespace corering
