/// os_calls_paths.cpp — what is done with files and names. It may wait for a disk, so a helper does it.
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "emulation/os_calls.hpp"

namespace corering::emulation {
namespace {

const char* path_of(const Call& call) noexcept { return pointer<const char>(call.sqe.addr); }
const char* second_path_of(const Call& call) noexcept { return pointer<const char>(call.sqe.off); }

template <class Function>
Answer done_by(Function&& call) noexcept {
  return Answer::done(retried(call));
}

// fadvise and madvise have a long and a short field for the length.
std::size_t length_of(std::uint64_t long_length, const Call& call) noexcept {
  return long_length != 0 ? long_length : call.sqe.len;
}

}  // namespace

namespace calls {

Answer fsync(Call& call) noexcept {
  const bool data_only = (call.sqe.op_flags & uapi::fsync_datasync) != 0;
  return done_by([&] { return data_only ? ::fdatasync(call.sqe.fd) : ::fsync(call.sqe.fd); });
}

Answer sync_file_range(Call& call) noexcept {
  return done_by([&] {
    return ::sync_file_range(call.sqe.fd, static_cast<off64_t>(call.sqe.off), call.sqe.len,
                             call.sqe.op_flags);
  });
}

Answer fallocate(Call& call) noexcept {
  return done_by([&] {
    return ::fallocate(call.sqe.fd, static_cast<int>(call.sqe.len), static_cast<off_t>(call.sqe.off),
                       static_cast<off_t>(call.sqe.addr));
  });
}

Answer ftruncate(Call& call) noexcept {
  return done_by([&] { return ::ftruncate(call.sqe.fd, static_cast<off_t>(call.sqe.off)); });
}

Answer fadvise(Call& call) noexcept {
  return Answer::done(-::posix_fadvise(call.sqe.fd, static_cast<off_t>(call.sqe.off),
                                       static_cast<off_t>(length_of(call.sqe.addr, call)),
                                       static_cast<int>(call.sqe.op_flags)));
}

Answer madvise(Call& call) noexcept {
  return done_by([&] {
    return ::madvise(pointer<void>(call.sqe.addr), length_of(call.sqe.off, call),
                     static_cast<int>(call.sqe.op_flags));
  });
}

}  // namespace calls

// ---- opening ----

namespace {

std::int64_t open_by(const Call& call, const open_how& how) noexcept {
  if (opcode_of(call) == Opcode::openat) {
    return retried([&] {
      return ::openat(call.sqe.fd, path_of(call), static_cast<int>(how.flags), static_cast<mode_t>(how.mode));
    });
  }
  return retried([&] { return ::syscall(SYS_openat2, call.sqe.fd, path_of(call), &how, sizeof how); });
}

// A FIFO would wait for its other end, so a file is opened without waiting, and waits from then on, as in the
// ring. What refuses to be opened so (a file with a lease) is waited for.
Answer open_without_waiting(const Call& call, open_how how) noexcept {
  if (call.keeps_private) how.flags |= O_CLOEXEC;
  if ((how.flags & (O_NONBLOCK | O_PATH)) != 0) return Answer::done(open_by(call, how));
  how.flags |= O_NONBLOCK;
  std::int64_t fd = open_by(call, how);
  how.flags &= ~static_cast<std::uint64_t>(O_NONBLOCK);
  // IOSQE_ASYNC asks for a wait, as the real ring's helper threads do it. Nothing tells when a reader comes.
  if (fd == -ENXIO && call.wants_helper) return Answer::later(std::chrono::milliseconds(2));
  if (fd == -EAGAIN) return Answer::done(open_by(call, how));
  constexpr std::uint64_t changeable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME;
  if (fd >= 0) ::fcntl(static_cast<int>(fd), F_SETFL, static_cast<int>(how.flags & changeable));
  return Answer::done(fd);
}

}  // namespace

namespace calls {

Answer open(Call& call) noexcept {
  return open_without_waiting(call, {.flags = call.sqe.op_flags, .mode = call.sqe.len, .resolve = 0});
}

Answer open2(Call& call) noexcept {
  const auto* const how = pointer<const open_how>(call.sqe.off);
  if (call.sqe.len == sizeof(open_how)) return open_without_waiting(call, *how);
  return done_by([&] { return ::syscall(SYS_openat2, call.sqe.fd, path_of(call), how, call.sqe.len); });
}

// ---- names ----

Answer stat(Call& call) noexcept {
  return done_by([&] {
    return ::statx(call.sqe.fd, path_of(call), static_cast<int>(call.sqe.op_flags), call.sqe.len,
                   pointer<struct statx>(call.sqe.off));
  });
}

Answer unlink(Call& call) noexcept {
  return done_by([&] { return ::unlinkat(call.sqe.fd, path_of(call), static_cast<int>(call.sqe.op_flags)); });
}

Answer rename(Call& call) noexcept {
  return done_by([&] {
    return ::renameat2(call.sqe.fd, path_of(call), static_cast<int>(call.sqe.len), second_path_of(call),
                       call.sqe.op_flags);
  });
}

Answer make_directory(Call& call) noexcept {
  return done_by([&] { return ::mkdirat(call.sqe.fd, path_of(call), static_cast<mode_t>(call.sqe.len)); });
}

Answer make_symlink(Call& call) noexcept {
  return done_by([&] { return ::symlinkat(path_of(call), call.sqe.fd, second_path_of(call)); });
}

Answer link(Call& call) noexcept {
  return done_by([&] {
    return ::linkat(call.sqe.fd, path_of(call), static_cast<int>(call.sqe.len), second_path_of(call),
                    static_cast<int>(call.sqe.op_flags));
  });
}

// ---- extended attributes: the name is in `addr`, the value in `off`, the path in `addr3` ----

Answer get_attribute(Call& call) noexcept {
  const char* const name = path_of(call);
  void* const value = pointer<void>(call.sqe.off);
  if (opcode_of(call) == Opcode::fgetxattr)
    return done_by([&] { return ::fgetxattr(call.sqe.fd, name, value, call.sqe.len); });
  return done_by([&] { return ::getxattr(pointer<const char>(call.sqe.addr3), name, value, call.sqe.len); });
}

Answer set_attribute(Call& call) noexcept {
  const char* const name = path_of(call);
  const void* const value = pointer<const void>(call.sqe.off);
  const int flags = static_cast<int>(call.sqe.op_flags);
  if (opcode_of(call) == Opcode::fsetxattr)
    return done_by([&] { return ::fsetxattr(call.sqe.fd, name, value, call.sqe.len, flags); });
  return done_by(
      [&] { return ::setxattr(pointer<const char>(call.sqe.addr3), name, value, call.sqe.len, flags); });
}

}  // namespace calls
}  // namespace corering::emulation
