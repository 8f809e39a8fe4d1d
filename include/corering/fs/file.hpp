/// file.hpp — an open file, with the loops around the operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/stat.h>
#include <sys/uio.h>
#include <system_error>

#include <corering/core/task.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/streams/stream_error.hpp>

namespace corering {

enum class FileErrc {
  path_has_nul = 1,
  misaligned,   ///< O_DIRECT: offset, length or memory
  no_position,  ///< O_DIRECT: read() and write() at the file's own position
};
[[nodiscard]] const std::error_category& file_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(FileErrc error) noexcept {
  return {static_cast<int>(error), file_category()};
}

struct OpenOptions {
  bool read = true;
  bool write = false;
  bool create = false;     ///< if it is not there
  bool exclusive = false;  ///< with create: EEXIST if it is
  bool truncate = false;
  bool append = false;  ///< every write goes to the end
  /// O_DIRECT: past the page cache. Offsets, lengths and memory must be multiples of File::alignment(); see
  /// AlignedBuffer. EINVAL where the file system has none.
  bool direct = false;
  mode_t mode = 0666;  ///< of a file that is created, less the umask
};

/// Owns an open file. Reads and writes at an offset, any number at a time, on any worker; read() and write()
/// at the file's own position, one at a time. Buffers stay alive until they return. Larger than 2 GiB is
/// split, never cut short silently.
class File {
 public:
  explicit File(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// On a worker. openat(2); a path with a NUL byte is FileErrc::path_has_nul.
  [[nodiscard]] static Task<Result<File>> open(std::string path, OpenOptions options = {});
  /// For reading; for writing, created if need be and emptied.
  [[nodiscard]] static Task<Result<File>> open_to_read(std::string path) { return open(std::move(path)); }
  [[nodiscard]] static Task<Result<File>> create(std::string path);

  /// Some of what is at `offset`: 0 at the end and behind it. What is in the page cache may come without a
  /// suspension (async_read_cached), unless the file came as an Fd.
  [[nodiscard]] Task<Result<std::size_t>> read_at(std::span<std::byte> into, std::uint64_t offset) const;
  /// Fills `into`. StreamErrc::end when the file ends there, unexpected_end when it ends within.
  [[nodiscard]] Task<Result<void>> read_exact_at(std::span<std::byte> into, std::uint64_t offset) const;
  [[nodiscard]] Task<Result<std::size_t>> write_at(std::span<const std::byte> from,
                                                   std::uint64_t offset) const;
  /// All of `from`, or an error; what was written before it stays.
  [[nodiscard]] Task<Result<void>> write_all_at(std::span<const std::byte> from, std::uint64_t offset) const;
  /// Behind what is there, as one write as far as the kernel takes it at once (RWF_APPEND).
  [[nodiscard]] Task<Result<void>> append(std::span<const std::byte> from) const;

  /// Several buffers at once. `parts` stay alive.
  auto readv_at(std::span<const iovec> parts, std::uint64_t offset) const noexcept {
    return async_readv(fd_, parts, offset);
  }
  auto writev_at(std::span<const iovec> parts, std::uint64_t offset) const noexcept {
    return async_writev(fd_, parts, offset);
  }

  /// At the file's own position: what Reader and Writer (streams/byte_stream.hpp) take. Not with O_DIRECT
  /// (FileErrc::no_position): the kernel does not move the position when such a request ends later.
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> into) const;
  [[nodiscard]] Task<Result<std::size_t>> write(std::span<const std::byte> from) const;

  auto truncate(std::uint64_t length) const noexcept { return async_ftruncate(fd_, length); }
  auto sync(Sync what_to_sync = Sync::everything) const noexcept { return async_fsync(fd_, what_to_sync); }
  /// statx(2), the basic fields.
  [[nodiscard]] Task<Result<struct statx>> stat() const;
  [[nodiscard]] Task<Result<std::uint64_t>> size() const;

  [[nodiscard]] Task<Result<void>> close();

  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }
  /// What O_DIRECT wants multiples of; 1 without it.
  [[nodiscard]] std::size_t alignment() const noexcept { return alignment_; }

 private:
  [[nodiscard]] bool is_aligned(const void* memory, std::size_t length, std::uint64_t offset) const noexcept;

  Fd fd_;
  std::size_t alignment_ = 1;
  bool has_cache_ = false;  // it is known not to be open with O_DIRECT
};

/// Memory for O_DIRECT.
class AlignedBuffer {
 public:
  /// `size` is rounded up to a multiple of `alignment`, a power of two. Throws std::bad_alloc.
  explicit AlignedBuffer(std::size_t size, std::size_t alignment = 4096);
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {memory_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::size_t size_;
  std::unique_ptr<std::byte[], Free> memory_;
};

/// True if `path` can be one; else operations on it fail with FileErrc::path_has_nul.
[[nodiscard]] Result<void> check_path(const std::string& path) noexcept;

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::FileErrc> : std::true_type {};
