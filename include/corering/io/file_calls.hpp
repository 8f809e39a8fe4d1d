/// file_calls.hpp — operations on what is in a file, named after their system calls.
///
/// Each function returns an operation to `co_await` on a worker, or `.on(worker)` from anywhere
/// (core/operation.hpp says how they suspend, resume and fail). The last line of each comment is a row: the
/// kernel's opcode, the first Linux that has it, the man page that it follows, what must stay alive until the
/// awaiting coroutine has resumed, and errors to expect besides EBADF and the scope's reason. "-" means
/// nothing. docs/OPERATIONS.md is made of these rows.
#pragma once

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <span>
#include <sys/uio.h>
#include <unistd.h>

#include <corering/core/operation.hpp>
#include <corering/io/file_offset.hpp>
#include <corering/resources/buffer_pool.hpp>
#include <corering/resources/descriptor.hpp>
#include <corering/resources/file_table.hpp>
#include <corering/resources/registered_buffers.hpp>

namespace corering {

namespace detail {

/// One call moves at most this many bytes, as in read(2): MAX_RW_COUNT. The caller's next call moves the
/// rest.
inline constexpr std::size_t most_bytes_per_call = 0x7ffff000;

inline std::uint32_t clamp_length(std::size_t bytes) noexcept {
  return static_cast<std::uint32_t>(std::min(bytes, most_bytes_per_call));
}

/// A length goes into 32 bits. If it does not fit, it goes into a field of 64 bits, which newer kernels look
/// at.
inline std::uint32_t short_length(std::uint64_t length) noexcept {
  return length > 0xffff'ffff ? 0 : static_cast<std::uint32_t>(length);
}
inline std::uint64_t long_length(std::uint64_t length) noexcept { return length > 0xffff'ffff ? length : 0; }

inline std::uint64_t address_of(const void* pointer) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

/// Makes a request to move bytes between memory and a file.
inline Request transfer(std::uint32_t head, const Descriptor& file, const void* memory, std::size_t length,
                        FileOffset offset, int flags) noexcept {
  return {.addr = address_of(memory),
          .fd = file.number(),
          .len = clamp_length(length),
          .off = offset.sqe_field(),
          .head = head,
          .op_flags = static_cast<std::uint32_t>(flags)};
}

/// Returns -errno of a system call that has failed, and otherwise what the call returned.
inline std::int32_t as_reply(long result) noexcept {
  return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

/// Reads the answer of an operation. An older operation with the same fields can stand in for it.
template <class T, Opcode Older>
struct AnswerOr : Answer<T> {
  void rewrite(Request& request, const Capabilities&) const noexcept {
    request.head = (request.head & ~0xffU) | static_cast<std::uint32_t>(Older);
  }
};

}  // namespace detail

/// pread(2): reads up to `into.size()` bytes from `offset` (current_position: where the file stands). Fewer
/// may come; 0 means the end of the file. `flags` are RWF_* of preadv2(2).
/// | READ | 5.6 | pread(2) | `into` | EISDIR, EINVAL, EAGAIN (RWF_NOWAIT) |
inline IoOperation<std::size_t> async_read(const Descriptor& file, std::span<std::byte> into,
                                           FileOffset offset, int flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::transfer(head(Opcode::read, file), file, into.data(), into.size(), offset, flags));
}

namespace detail {
struct AnswerNow : Answer<std::size_t> {
  static constexpr bool reads_now = true;
};
}  // namespace detail

/// The same as async_read, for a file that is likely to be in the page cache. If nothing else is about to run
/// or to be submitted, the worker itself copies the bytes (preadv2(2), RWF_NOWAIT), and the coroutine goes on
/// without a suspension. If some of them are missing in the cache, it is a READ after all. In one turn at
/// most some 100 KiB come in this way, so that other coroutines need not wait. On file systems without
/// RWF_NOWAIT (tmpfs, /proc) it costs one useless call. Do not use it with O_DIRECT, because the worker would
/// wait for the device.
/// | READ | 5.6 | preadv2(2) | `into` | EISDIR, EINVAL |
inline IoOperation<std::size_t, detail::AnswerNow> async_read_cached(const Descriptor& file,
                                                                     std::span<std::byte> into,
                                                                     FileOffset offset) noexcept {
  return IoOperation<std::size_t, detail::AnswerNow>(
      detail::transfer(head(Opcode::read, file), file, into.data(), into.size(), offset, 0));
}

/// pwrite(2): writes up to `from.size()` bytes at `offset` (current_position: where the file stands). Fewer
/// may be taken. Do not use it for sockets: a closed peer would raise SIGPIPE, and async_send never raises
/// it. `flags` are RWF_*, such as RWF_DSYNC or RWF_APPEND.
/// | WRITE | 5.6 | pwrite(2) | `from` | ENOSPC, EFBIG, EDQUOT, EINVAL |
inline IoOperation<std::size_t> async_write(const Descriptor& file, std::span<const std::byte> from,
                                            FileOffset offset, int flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::transfer(head(Opcode::write, file), file, from.data(), from.size(), offset, flags));
}

/// preadv2(2): reads into several buffers, at most 1024.
/// | READV | 5.1 | preadv2(2) | `into` and its buffers | EISDIR, EINVAL |
inline IoOperation<std::size_t> async_readv(const Descriptor& file, std::span<const iovec> into,
                                            FileOffset offset, int flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::transfer(head(Opcode::readv, file), file, into.data(), into.size(), offset, flags));
}

/// pwritev2(2): writes from several buffers, at most 1024. Do not use it for sockets.
/// | WRITEV | 5.1 | pwritev2(2) | `from` and its buffers | ENOSPC, EFBIG, EINVAL |
inline IoOperation<std::size_t> async_writev(const Descriptor& file, std::span<const iovec> from,
                                             FileOffset offset, int flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::transfer(head(Opcode::writev, file), file, from.data(), from.size(), offset, flags));
}

/// The same as async_read, into a registered buffer, whose pages the kernel need not look up.
/// | READ_FIXED | 5.1 | pread(2) | `into` | EISDIR, EFAULT |
inline IoOperation<std::size_t> async_read(const Descriptor& file, const FixedSpan& into, FileOffset offset,
                                           int flags = 0) noexcept {
  Request request =
      detail::transfer(head(Opcode::read_fixed, file), file, into.bytes().data(), into.size(), offset, flags);
  request.extra = in_buffer(into.index());
  return IoOperation<std::size_t>(request);
}

/// The same as async_write, from a registered buffer.
/// | WRITE_FIXED | 5.1 | pwrite(2) | `from` | ENOSPC, EFBIG, EFAULT |
inline IoOperation<std::size_t> async_write(const Descriptor& file, const FixedSpan& from, FileOffset offset,
                                            int flags = 0) noexcept {
  Request request = detail::transfer(head(Opcode::write_fixed, file), file, from.bytes().data(), from.size(),
                                     offset, flags);
  request.extra = in_buffer(from.index());
  return IoOperation<std::size_t>(request);
}

/// preadv2(2) into parts of one registered buffer. Each part in `into` lies inside `within`. On an older
/// kernel it is a READV.
/// | READV_FIXED | 6.15 | preadv2(2) | `within`, `into` | EISDIR, EFAULT |
inline auto async_readv(const Descriptor& file, const FixedSpan& within, std::span<const iovec> into,
                        FileOffset offset, int flags = 0) noexcept {
  using Payload = detail::AnswerOr<std::size_t, Opcode::readv>;
  Request request =
      detail::transfer(head(Opcode::readv_fixed, file), file, into.data(), into.size(), offset, flags);
  request.extra = in_buffer(within.index());
  return ProbedOperation<std::size_t, Payload>(request, {.need = Opcode::readv_fixed});
}

/// pwritev2(2) from parts of one registered buffer. On an older kernel it is a WRITEV.
/// | WRITEV_FIXED | 6.15 | pwritev2(2) | `within`, `from` | ENOSPC, EFBIG, EFAULT |
inline auto async_writev(const Descriptor& file, const FixedSpan& within, std::span<const iovec> from,
                         FileOffset offset, int flags = 0) noexcept {
  using Payload = detail::AnswerOr<std::size_t, Opcode::writev>;
  Request request =
      detail::transfer(head(Opcode::writev_fixed, file), file, from.data(), from.size(), offset, flags);
  request.extra = in_buffer(within.index());
  return ProbedOperation<std::size_t, Payload>(request, {.need = Opcode::writev_fixed});
}

/// The same as async_read, into a buffer of `pool` that the kernel picks when there is something to read. It
/// reads at most one buffer, and at most `most` bytes if `most` is not 0. An empty buffer means the end of
/// the file.
/// | READ (BUFFER_SELECT) | 5.7 | pread(2) | `pool` | ENOBUFS: every buffer is lent |
inline IoOperation<LentBuffer, detail::LentAnswer> async_read(const Descriptor& file, const BufferPool& pool,
                                                              FileOffset offset,
                                                              std::size_t most = 0) noexcept {
  Request request =
      detail::transfer(head(Opcode::read, file, uapi::sqe_buffer_select), file, nullptr, most, offset, 0);
  request.extra = in_buffer(detail::group_of(pool.ring()));
  return IoOperation<LentBuffer, detail::LentAnswer>(request, detail::LentAnswer(pool.ring()));
}

/// Says what fsync makes durable.
enum class Sync : std::uint8_t { everything, data_only };

/// fsync(2), or fdatasync(2) with Sync::data_only. It is not ordered after writes that have not completed
/// yet.
/// | FSYNC | 5.1 | fsync(2) | - | EIO, EINVAL |
inline IoOperation<void> async_fsync(const Descriptor& file, Sync what_to_sync = Sync::everything) noexcept {
  return IoOperation<void>(Request{.fd = file.number(),
                                   .head = head(Opcode::fsync, file),
                                   .op_flags = what_to_sync == Sync::data_only ? uapi::fsync_datasync : 0});
}

/// sync_file_range(2): begins or awaits the write-out of a range. It says nothing about the file's metadata.
/// `length` 0 means everything after `offset`, and so does a length of 4 GiB or more. `flags` are
/// SYNC_FILE_RANGE_*.
/// | SYNC_FILE_RANGE | 5.2 | sync_file_range(2) | - | EINVAL, ESPIPE, EIO |
inline IoOperation<void> async_sync_file_range(const Descriptor& file, FileOffset offset,
                                               std::uint64_t length, unsigned flags) noexcept {
  return IoOperation<void>(Request{.fd = file.number(),
                                   .len = detail::short_length(length),
                                   .off = offset.sqe_field(),
                                   .head = head(Opcode::sync_file_range, file),
                                   .op_flags = flags});
}

/// fallocate(2): reserves a range, or frees, zeroes or shifts it with FALLOC_FL_* in `mode`.
/// | FALLOCATE | 5.6 | fallocate(2) | - | ENOSPC, EOPNOTSUPP, EINVAL |
inline IoOperation<void> async_fallocate(const Descriptor& file, int mode, FileOffset offset,
                                         std::uint64_t length) noexcept {
  return IoOperation<void>(Request{.addr = length,
                                   .fd = file.number(),
                                   .len = static_cast<std::uint32_t>(mode),
                                   .off = offset.sqe_field(),
                                   .head = head(Opcode::fallocate, file)});
}

/// ftruncate(2): makes the file `length` bytes long. On an older kernel the worker makes the system call, and
/// may then wait for the disk.
/// | FTRUNCATE | 6.9 | ftruncate(2) | - | EINVAL, EFBIG |
inline ProbedOperation<void> async_ftruncate(const Descriptor& file, std::uint64_t length) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(::ftruncate(request.fd, static_cast<off_t>(request.off)));
  };
  return ProbedOperation<void>(
      Request{.fd = file.number(), .off = length, .head = head(Opcode::ftruncate, file)},
      {.need = Opcode::ftruncate, .call = file.is_slot() ? nullptr : +call});
}

/// posix_fadvise(2): says how the range will be read (POSIX_FADV_*). `length` 0 means to the end. An older
/// kernel refuses 4 GiB and more (EINVAL).
/// | FADVISE | 5.6 | posix_fadvise(2) | - | EINVAL, ESPIPE |
inline IoOperation<void> async_fadvise(const Descriptor& file, FileOffset offset, std::uint64_t length,
                                       int advice) noexcept {
  return IoOperation<void>(Request{.addr = detail::long_length(length),
                                   .fd = file.number(),
                                   .len = detail::short_length(length),
                                   .off = offset.sqe_field(),
                                   .head = head(Opcode::fadvise, file),
                                   .op_flags = static_cast<std::uint32_t>(advice)});
}

/// madvise(2) for memory of this process (MADV_*). An older kernel refuses 4 GiB and more (EINVAL).
/// | MADVISE | 5.6 | madvise(2) | the memory | EINVAL, ENOMEM |
inline IoOperation<void> async_madvise(void* memory, std::size_t length, int advice) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(memory),
                                   .len = detail::short_length(length),
                                   .off = detail::long_length(length),
                                   .head = head(Opcode::madvise),
                                   .op_flags = static_cast<std::uint32_t>(advice)});
}

// ---- closing ----

/// Waits for a close. Owns what it closes until the kernel says that it has closed it.
template <class Owner>
class [[nodiscard]] CloseAwaiter : private Completion {
 public:
  CloseAwaiter(const Request& request, Owner&& owned) noexcept
      : Completion(request), request_(request), owned_(std::move(owned)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (!is_on_slot()) here::before_close_by_ring(request_.fd);
    if constexpr (std::same_as<Owner, Fd>) {
      if (here::lingers(owned_.get())) request_.head |= uapi::sqe_async << 8;  // not on the worker's thread
    }
    begin(coroutine, promise_of(coroutine), request_);
  }

  /// If the kernel was not allowed to begin the close, it is made here: closing always closes.
  [[nodiscard]] Result<void> await_resume() noexcept {
    const std::int32_t res = finish().res;
    if (res == -ECANCELED) {
      if constexpr (std::same_as<Owner, Fd>) {
        here::close_now(std::move(owned_));
      } else {
        owned_.reset();
      }
      return {};
    }
    (void)owned_.release();
    if (res < 0) return failure(-res);
    return {};
  }

 private:
  Request request_;
  Owner owned_;
};

/// Owns what is to be closed until it is awaited.
template <class Owner>
class [[nodiscard("a close does nothing until it is awaited")]] CloseOperation {
 public:
  CloseOperation(const Request& request, Owner owned) noexcept
      : request_(request), owned_(std::move(owned)) {}

  CloseAwaiter<Owner> operator co_await() && noexcept {
    return CloseAwaiter<Owner>(request_, std::move(owned_));
  }

  /// The same, but a helper thread of the kernel does it from the start (IOSQE_ASYNC).
  [[nodiscard]] CloseOperation forced_async() && noexcept {
    request_.head |= uapi::sqe_async << 8;
    return std::move(*this);
  }

  /// The same on `worker`, wherever it is awaited: it hops there and back as IoOperation::on() does. If the
  /// worker refuses, the answer is ECANCELED, and the descriptor is closed all the same.
  Task<Result<void>> on(Worker& worker) && { return detail::await_on<void>(worker, std::move(*this)); }

 private:
  Request request_;
  Owner owned_;
};

/// close(2). It takes the descriptor over and always closes it, also in a cancelled scope (then without the
/// ring), and also if the operation is never awaited. No operation on the descriptor may be in flight,
/// because the kernel would keep that operation armed. If it is a socket with SO_LINGER, the rest of the data
/// is sent, and waited for, on a helper thread of the kernel; the coroutine does not wait for that.
/// | CLOSE | 5.6 | close(2) | - | EIO |
inline CloseOperation<Fd> async_close(Fd fd) noexcept {
  const Request request{.fd = fd.get(), .head = head(Opcode::close)};
  return CloseOperation<Fd>(request, std::move(fd));
}

/// The same for a slot of the file table. Nobody can ask a slot for SO_LINGER: if the option is set, use
/// forced_async(), or the worker waits.
/// | CLOSE (direct) | 5.15 | close(2) | - | EIO |
inline CloseOperation<FixedFile> async_close(FixedFile file) noexcept {
  Request request{.fd = -1, .head = head(Opcode::close)};  // stays so if the file is not open: EBADF
  if (file.is_open()) {
    request.fd = 0;
    request.extra = with_file_index(file.slot() + 1);
  }
  return CloseOperation<FixedFile>(request, std::move(file));
}

// ---- the file table ----

/// Puts a descriptor's file into a free slot of `table`. The descriptor stays open, and you may close it.
/// | FILES_UPDATE | 5.6, slot picked by the kernel 5.19 | io_uring_register(2) | `table` | ENFILE: no free slot |
inline IoOperation<FixedFile, detail::InstalledAnswer> async_install(const FileTable& table,
                                                                     int fd) noexcept {
  return IoOperation<FixedFile, detail::InstalledAnswer>(
      Request{.len = 1, .off = uapi::file_index_alloc, .head = head(Opcode::files_update)},
      detail::InstalledAnswer(table, fd));
}

/// The other way: makes a descriptor, close-on-exec, for the file in a slot.
/// | FIXED_FD_INSTALL | 6.8 | io_uring_enter(2) | `file` | EMFILE |
inline ProbedOperation<Fd> async_fixed_fd_install(const FixedFile& file) noexcept {
  return ProbedOperation<Fd>(
      Request{.fd = static_cast<int>(file.slot()), .head = head(Opcode::fixed_fd_install, file)},
      {.need = Opcode::fixed_fd_install});
}

}  // namespace corering
