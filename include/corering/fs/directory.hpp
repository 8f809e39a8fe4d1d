/// directory.hpp — directories: their entries, everything below them, and how to change them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>

#include <corering/fs/file.hpp>
#include <corering/fs/list_directory.hpp>
#include <corering/sync/async_generator.hpp>

namespace corering {

/// What walk() finds: a path below the top, and its type.
struct WalkEntry {
  std::string path;        ///< relative to the top
  unsigned char type = 0;  ///< DT_REG, DT_DIR, DT_LNK, ...; never DT_UNKNOWN
  std::error_code error;   ///< set if it is a directory that could not be read; its content is missing
};

/// A directory, given by its path. What blocks runs on `pool`.
/// thread: await all of these on a worker
class Directory {
 public:
  explicit Directory(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Returns the path of `name` in this directory.
  [[nodiscard]] std::string operator/(const std::string& name) const;

  /// Returns the entries of this directory, sorted by name. See list_directory().
  [[nodiscard]] Task<Result<std::vector<DirectoryEntry>>> list(BlockingPool& pool) const {
    return list_directory(pool, path_);
  }

  /// Yields everything below this directory, in the order of names, and each directory before its entries.
  /// Symbolic links are named, and not followed.
  /// keep alive: `pool` and this object, longer than the generator
  [[nodiscard]] AsyncGenerator<WalkEntry> walk(BlockingPool& pool) const;

  /// Makes the directory.
  /// errors: EEXIST · follows: mkdirat(2)
  [[nodiscard]] Task<Result<void>> create(mode_t mode = 0777) const;
  /// The same, with all directories that lead to it. The directory may exist already.
  [[nodiscard]] Task<Result<void>> create_all(mode_t mode = 0777) const;
  /// Renames the directory. An empty directory at `to` is replaced.
  /// follows: rename(2)
  [[nodiscard]] Task<Result<void>> rename(std::string to);
  /// Removes the directory, which must be empty.
  /// errors: ENOTEMPTY · follows: rmdir(2)
  [[nodiscard]] Task<Result<void>> remove() const;
  /// Removes the directory and everything below it. Links are removed, and what they point to is not, even if
  /// somebody puts a link there meanwhile. It stops at the first error. A tree may be of any depth: at most
  /// ten descriptors are open at a time.
  /// errors: ENOTDIR or ELOOP if the path is itself a link; ESTALE if somebody moves a directory meanwhile
  [[nodiscard]] Task<Result<void>> remove_all(BlockingPool& pool) const;

 private:
  std::string path_;
};

/// Remove and rename files, links and the like.
/// follows: unlink(2), rename(2)
[[nodiscard]] Task<Result<void>> unlink(std::string path);
[[nodiscard]] Task<Result<void>> rename(std::string from, std::string to);

struct CopyOptions {
  CopyOptions() noexcept {}  // not an aggregate: g++ 12 would destroy it twice in a co_await
  bool overwrite = true;     ///< if false, an existing target is EEXIST
  std::size_t chunk_size = 256 * 1024;
  /// It is called after every chunk, on the worker, with the number of bytes that have been copied so far.
  std::function<void(std::uint64_t)> progress = nullptr;
};

/// Copies the content and the permission bits of a regular file, without the set-user-ID bit and similar
/// ones. The next chunk is read while the last one is written. Returns how many bytes were copied. If the
/// copy fails, is cancelled, or `progress` throws, the target is removed if it was created here; otherwise it
/// is incomplete.
/// errors: EISDIR for a directory · EINVAL if either file is not a regular file, or both are the same
[[nodiscard]] Task<Result<std::uint64_t>> copy_file(std::string from, std::string to,
                                                    CopyOptions options = {});

}  // namespace corering
