/// directory.hpp — directories: what is in them, what is below them, and changing that.
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

/// What walk() finds: the path below the top, and what kind of thing it is.
struct WalkEntry {
  std::string path;        ///< relative to the top
  unsigned char type = 0;  ///< DT_REG, DT_DIR, DT_LNK, ...; never DT_UNKNOWN
  std::error_code error;   ///< of a directory that could not be read; its content is missing
};

/// A directory by its path. All of these are awaited on a worker; what blocks runs on `pool`.
class Directory {
 public:
  explicit Directory(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The path of something in it.
  [[nodiscard]] std::string operator/(const std::string& name) const;

  /// What is in it, by name. See list_directory().
  [[nodiscard]] Task<Result<std::vector<DirectoryEntry>>> list(BlockingPool& pool) const {
    return list_directory(pool, path_);
  }

  /// Everything below it, each directory before what is in it, in the order of names. Symbolic links are
  /// named, not followed. The pool and this outlive the generator.
  [[nodiscard]] AsyncGenerator<WalkEntry> walk(BlockingPool& pool) const;

  /// mkdirat(2). EEXIST.
  [[nodiscard]] Task<Result<void>> create(mode_t mode = 0777) const;
  /// ... with all that lead to it; it may exist already.
  [[nodiscard]] Task<Result<void>> create_all(mode_t mode = 0777) const;
  /// rename(2): replaces an empty directory of that name.
  [[nodiscard]] Task<Result<void>> rename(std::string to);
  /// rmdir(2). ENOTEMPTY.
  [[nodiscard]] Task<Result<void>> remove() const;
  /// It and everything below it; links themselves, not what they point to, also if somebody puts one there
  /// meanwhile. Stops at the first error; ENOTDIR or ELOOP if it is a link itself.
  [[nodiscard]] Task<Result<void>> remove_all(BlockingPool& pool) const;

 private:
  std::string path_;
};

/// Other names: of files, links and the like. unlink(2), rename(2).
[[nodiscard]] Task<Result<void>> unlink(std::string path);
[[nodiscard]] Task<Result<void>> rename(std::string from, std::string to);

struct CopyOptions {
  CopyOptions() noexcept {}  // no aggregate: g++ 12 would destroy it twice in a co_await
  bool overwrite = true;     ///< else EEXIST if the target is there
  std::size_t chunk_size = 256 * 1024;
  /// Called after every chunk, on the worker, with how many bytes have been copied so far.
  std::function<void(std::uint64_t)> progress = nullptr;
};

/// Copies the content and the permission bits (not set-user-ID and its kin) of a regular file; the next chunk
/// is read while the last is written. Returns how many bytes that were. EISDIR for a directory; EINVAL if
/// either is no regular file, or both are the same. If it fails, is cancelled, or `progress` throws, the
/// target is removed if it was created here, else it is incomplete.
[[nodiscard]] Task<Result<std::uint64_t>> copy_file(std::string from, std::string to,
                                                    CopyOptions options = {});

}  // namespace corering
