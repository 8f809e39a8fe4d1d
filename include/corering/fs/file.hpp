/// file.hpp — an open file, with the loops that repeat an operation until everything is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/uio.h>
#include <system_error>

#include <corering/core/task.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/streams/stream_error.hpp>

namespace corering {

enum class FileErrc {
  path_has_nul = 1,
  misaligned,      ///< O_DIRECT: offset, length or memory
  no_position,     ///< O_DIRECT: read() and write() at the file's own position
  misaligned_end,  ///< O_DIRECT: a write to the end of a file that ends within a block
};
[[nodiscard]] const std::error_category& file_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(FileErrc error) noexcept {
  return {static_cast<int>(error), file_category()};
}

struct OpenOptions {
  bool read = true;
  bool write = false;
  bool create = false;     ///< makes the file if it does not exist
  bool exclusive = false;  ///< with create: EEXIST if the file exists
  bool truncate = false;
  bool append = false;  ///< every write goes to the end
  /// O_DIRECT: transfers do not use the page cache. Offsets, lengths and memory must be multiples of
  /// File::alignment(); see AlignedBuffer. open() fails with EINVAL if the file system has no O_DIRECT.
  bool direct = false;
  mode_t mode = 0666;  ///< of a file that is created, without the bits of the umask
};

/// Owns an open file. A transfer larger than 2 GiB is split, and is never cut short silently.
/// keep alive: buffers, until the function has returned its result
/// thread: any worker; any number of reads and writes at an offset at a time, but only one read() or write(),
///   which use the file's own position
class File {
 public:
  explicit File(Fd fd) noexcept : fd_(std::move(fd)) {}

  /// Opens a file. A FIFO that is opened to be written is open as soon as somebody reads, as in open(2). One
  /// that is opened to be read is open at once, and a read waits for the writer.
  /// errors: FileErrc::path_has_nul for a path with a NUL byte · follows: openat(2) · thread: a worker
  [[nodiscard]] static Task<Result<File>> open(std::string path, OpenOptions options = {});
  /// open_to_read() opens for reading. create() opens for reading and writing; it makes the file if
  /// necessary, and empties it.
  [[nodiscard]] static Task<Result<File>> open_to_read(std::string path) { return open(std::move(path)); }
  [[nodiscard]] static Task<Result<File>> create(std::string path);

  /// Reads some of the bytes at `offset`. Returns 0 at the end of the file and after it. An offset above
  /// 2^63-1 is EINVAL, here and wherever an offset is taken.
  /// suspends: perhaps not, if the bytes are in the page cache (async_read_cached); always, if the File was
  ///   made from an Fd
  [[nodiscard]] Task<Result<std::size_t>> read_at(std::span<std::byte> into, std::uint64_t offset) const;
  [[nodiscard]] Task<Result<std::size_t>> read_at(std::span<char> into, std::uint64_t offset) const {
    return read_at(std::as_writable_bytes(into), offset);
  }
  /// Fills `into`.
  /// errors: StreamErrc::end when the file ends at `offset`, unexpected_end when it ends within `into`
  [[nodiscard]] Task<Result<void>> read_exact_at(std::span<std::byte> into, std::uint64_t offset) const;
  [[nodiscard]] Task<Result<std::size_t>> write_at(std::span<const std::byte> from,
                                                   std::uint64_t offset) const;
  /// Writes all of `from`, or fails. Bytes that were written before the error stay.
  [[nodiscard]] Task<Result<void>> write_all_at(std::span<const std::byte> from, std::uint64_t offset) const;
  [[nodiscard]] Task<Result<void>> write_all_at(std::string_view from, std::uint64_t offset) const {
    return write_all_at(std::as_bytes(std::span(from)), offset);
  }
  /// Writes after the end of the file (RWF_APPEND). It is one write, as far as the kernel takes `from` at
  /// once.
  /// errors: FileErrc::misaligned_end with O_DIRECT, if the file ends within a block
  [[nodiscard]] Task<Result<void>> append(std::span<const std::byte> from) const;
  [[nodiscard]] Task<Result<void>> append(std::string_view from) const {
    return append(std::as_bytes(std::span(from)));
  }

  /// These read and write several buffers at once.
  /// keep alive: `parts`
  auto readv_at(std::span<const iovec> parts, std::uint64_t offset) const noexcept {
    return async_readv(fd_, parts, offset);
  }
  auto writev_at(std::span<const iovec> parts, std::uint64_t offset) const noexcept {
    return async_writev(fd_, parts, offset);
  }

  /// Read and write at the file's own position, as Reader and Writer (streams/byte_stream.hpp) need it.
  /// errors: FileErrc::no_position with O_DIRECT: the kernel does not move the position when such a request
  ///   ends later
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> into) const;
  [[nodiscard]] Task<Result<std::size_t>> write(std::span<const std::byte> from) const;

  auto truncate(std::uint64_t length) const noexcept { return async_ftruncate(fd_, length); }
  auto sync(Sync what_to_sync = Sync::everything) const noexcept { return async_fsync(fd_, what_to_sync); }
  /// Returns the basic fields of the file's status.
  /// follows: statx(2)
  [[nodiscard]] Task<Result<struct statx>> stat() const;
  [[nodiscard]] Task<Result<std::uint64_t>> size() const;

  [[nodiscard]] Task<Result<void>> close();

  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }
  /// Returns the number that O_DIRECT wants multiples of. It is 1 without O_DIRECT.
  [[nodiscard]] std::size_t alignment() const noexcept { return alignment_; }

 private:
  [[nodiscard]] Task<std::error_code> why_refused(std::error_code error) const;
  [[nodiscard]] bool is_aligned(const void* memory, std::size_t length, std::uint64_t offset) const noexcept;

  Fd fd_;
  std::size_t alignment_ = 1;
  bool has_cache_ = false;  // true if it is known not to be open with O_DIRECT
};

/// Returns all that is in a file. It opens the file, reads it to its end, and closes it.
/// errors: those of File::open() and File::read_at(); it throws std::bad_alloc or std::length_error if the
/// file
///   does not fit in memory · thread: a worker
[[nodiscard]] Task<Result<std::string>> read_to_string(std::string path);

/// Memory for O_DIRECT.
class AlignedBuffer {
 public:
  /// `size` is rounded up to a multiple of `alignment`, which must be a power of two. Throws std::bad_alloc.
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

/// Succeeds if `path` can be a path. Otherwise it fails, as operations on the path do, with
/// FileErrc::path_has_nul.
[[nodiscard]] Result<void> check_path(const std::string& path) noexcept;

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::FileErrc> : std::true_type {};
