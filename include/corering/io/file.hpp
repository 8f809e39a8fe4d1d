/// file.hpp — operations on files, named after their system calls.
///
/// Each returns an operation to `co_await` on a worker, or `.on(worker)` from anywhere (core/operation.hpp
/// says how they suspend, resume and fail). Buffers, paths and out-parameters must stay alive until the
/// awaiting coroutine has resumed. Errors are the system call's own errno, and ECANCELED when the worker
/// stops.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <span>
#include <sys/stat.h>

#include <corering/base/fd.hpp>
#include <corering/core/operation.hpp>

namespace corering {

/// Read or write at the file's own position, as read(2) and write(2) do. What has no position, as pipes and
/// terminals, wants this.
inline constexpr std::uint64_t current_position = ~std::uint64_t{0};

namespace detail {

/// One call moves at most this much, as in read(2): MAX_RW_COUNT. The rest is the caller's next call.
inline constexpr std::size_t most_bytes_per_call = 0x7ffff000;

inline std::uint32_t clamp_length(std::size_t bytes) noexcept {
  return static_cast<std::uint32_t>(std::min(bytes, most_bytes_per_call));
}

inline std::uint64_t address_of(const void* pointer) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

}  // namespace detail

/// openat(2): opens `path` relative to `directory` (AT_FDCWD: the working directory). The
/// descriptor is owned; it is close-on-exec whether or not `flags` say O_CLOEXEC. Do not pass O_NONBLOCK for
/// descriptors used on a ring.
inline IoOperation<Fd> async_openat(int directory, const char* path, int flags, mode_t mode = 0) noexcept {
  return IoOperation<Fd>(Request{.addr = detail::address_of(path),
                                 .fd = directory,
                                 .len = mode,
                                 .what = plain(Opcode::openat),
                                 .op_flags = static_cast<std::uint32_t>(flags | O_CLOEXEC)});
}

/// pread(2): up to `into.size()` bytes from `offset` (current_position: where the file stands). Fewer may
/// come; 0 is the end of the file.
inline IoOperation<std::size_t> async_read(int fd, std::span<std::byte> into, std::uint64_t offset) noexcept {
  return IoOperation<std::size_t>(Request{.addr = detail::address_of(into.data()),
                                          .fd = fd,
                                          .len = detail::clamp_length(into.size()),
                                          .off = offset,
                                          .what = plain(Opcode::read)});
}

/// pwrite(2): up to `from.size()` bytes at `offset` (current_position: where the file stands). Fewer may be
/// taken. Not for sockets: a closed peer would raise SIGPIPE, async_send does not.
inline IoOperation<std::size_t> async_write(int fd, std::span<const std::byte> from,
                                            std::uint64_t offset) noexcept {
  return IoOperation<std::size_t>(Request{.addr = detail::address_of(from.data()),
                                          .fd = fd,
                                          .len = detail::clamp_length(from.size()),
                                          .off = offset,
                                          .what = plain(Opcode::write)});
}

/// What fsync makes durable.
enum class Sync : std::uint8_t { everything, data_only };

/// fsync(2), or fdatasync(2) with Sync::data_only. Not ordered behind writes that have not completed yet.
inline IoOperation<void> async_fsync(int fd, Sync what = Sync::everything) noexcept {
  return IoOperation<void>(Request{
      .fd = fd, .what = plain(Opcode::fsync), .op_flags = what == Sync::data_only ? abi::fsync_datasync : 0});
}

/// statx(2): fills `into` with what `mask` (STATX_*) asks for. `path` "" with AT_EMPTY_PATH means `directory`
/// itself.
inline IoOperation<void> async_statx(int directory, const char* path, int flags, unsigned mask,
                                     struct statx& into) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(path),
                                   .fd = directory,
                                   .len = mask,
                                   .off = detail::address_of(&into),
                                   .what = plain(Opcode::statx),
                                   .op_flags = static_cast<std::uint32_t>(flags)});
}

/// Waits for a close.
class [[nodiscard]] CloseAwaiter : private Completion {
 public:
  explicit CloseAwaiter(int fd) noexcept : Completion(Request{.fd = fd, .what = plain(Opcode::close)}) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    start(coroutine, frame_of(coroutine));
  }

  /// A close that the kernel was not allowed to begin is made here: closing always closes.
  Result<void> await_resume() noexcept {
    const std::int32_t res = finish();
    if (res == 0) return {};
    if (res != -ECANCELED) return failure(-res);
    return ::close(request().fd) == 0 ? Result<void>() : failure(errno);
  }
};

/// Owns the descriptor until it is awaited.
class [[nodiscard("a close does nothing until it is awaited")]] CloseOperation {
 public:
  explicit CloseOperation(Fd fd) noexcept : fd_(std::move(fd)) {}

  CloseAwaiter operator co_await() && noexcept { return CloseAwaiter(fd_.release()); }

  /// The same on `worker`, wherever it is awaited; hops there and back as IoOperation::on() does. A worker
  /// that refuses answers ECANCELED, and the descriptor is closed all the same.
  Task<Result<void>> on(Worker& worker) && { return detail::await_on<void>(worker, std::move(*this)); }

 private:
  Fd fd_;
};

/// close(2). Takes the descriptor over: it is closed whatever happens, also in a cancelled scope (then
/// without the ring) and if the operation is never awaited. No operation on it may be in flight; the kernel
/// would keep that one armed.
inline CloseOperation async_close(Fd fd) noexcept { return CloseOperation(std::move(fd)); }

}  // namespace corering
