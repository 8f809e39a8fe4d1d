/// path_calls.hpp — operations on names in the file system. The rows are explained in io/file_calls.hpp.
///
/// `directory` is where a relative path begins: a descriptor, or AT_FDCWD for the working directory.
#pragma once

#include <cstddef>
#include <fcntl.h>
#include <linux/openat2.h>
#include <span>
#include <sys/stat.h>

#include <corering/io/file_calls.hpp>

namespace corering {

namespace detail {

/// struct open_how lies in the awaiter.
template <class Decode>
class OpenHow : public Decode {
 public:
  OpenHow(const open_how& how, const Decode& decode) noexcept : Decode(decode), how_(how) {}
  void prepare(Request& request) noexcept { request.off = address_of(&how_); }

 private:
  open_how how_;
};

inline Request open_request(int directory, const char* path, int flags, mode_t mode) noexcept {
  return {.addr = address_of(path),
          .fd = directory,
          .len = mode,
          .head = head(Opcode::openat),
          .op_flags = static_cast<std::uint32_t>(flags)};
}

inline Request openat2_request(int directory, const char* path) noexcept {
  return {.addr = address_of(path), .fd = directory, .len = sizeof(open_how), .head = head(Opcode::openat2)};
}

/// Makes a request with two names, for renameat and linkat.
inline Request two_paths(Opcode opcode, int from_directory, const char* from, int to_directory,
                         const char* to, unsigned flags) noexcept {
  return {.addr = address_of(from),
          .fd = from_directory,
          .len = static_cast<std::uint32_t>(to_directory),
          .off = address_of(to),
          .head = head(opcode),
          .op_flags = flags};
}

/// Makes a request for an extended attribute, of a descriptor or of a path.
inline Request attribute(Opcode opcode, int fd, const char* path, const char* name, const void* value,
                         std::size_t size, int flags) noexcept {
  return {.addr = address_of(name),
          .fd = fd,
          .len = clamp_length(size),
          .off = address_of(value),
          .head = head(opcode),
          .op_flags = static_cast<std::uint32_t>(flags),
          .addr3 = address_of(path)};
}

}  // namespace detail

/// openat(2). The caller owns the descriptor. It is close-on-exec whether or not `flags` say O_CLOEXEC. Do
/// not pass O_NONBLOCK for descriptors that are used on a ring.
/// | OPENAT | 5.6 | openat(2) | `path` | ENOENT, EACCES, EEXIST, EMFILE |
inline IoOperation<Fd> async_openat(int directory, const char* path, int flags, mode_t mode = 0) noexcept {
  return IoOperation<Fd>(detail::open_request(directory, path, flags | O_CLOEXEC, mode));
}

/// The same, into a free slot of `table`, without a descriptor.
/// | OPENAT (direct) | 5.15, slot picked by the kernel 5.19 | openat(2) | `path`, `table` | ENOENT, ENFILE: no free slot |
inline IoOperation<FixedFile, detail::SlotAnswer> async_openat(const FileTable& table, int directory,
                                                               const char* path, int flags,
                                                               mode_t mode = 0) noexcept {
  Request request = detail::open_request(directory, path, flags, mode);
  request.extra = with_file_index(uapi::file_index_alloc);
  return IoOperation<FixedFile, detail::SlotAnswer>(request, detail::SlotAnswer(table));
}

/// openat2(2): openat with limits on how the path is resolved (RESOLVE_BENEATH, ...). The descriptor is
/// close-on-exec.
/// | OPENAT2 | 5.6 | openat2(2) | `path` | ENOENT, EXDEV, ELOOP, EINVAL, E2BIG |
inline IoOperation<Fd, detail::OpenHow<Answer<Fd>>> async_openat2(int directory, const char* path,
                                                                  open_how how) noexcept {
  how.flags |= O_CLOEXEC;
  return IoOperation<Fd, detail::OpenHow<Answer<Fd>>>(detail::openat2_request(directory, path),
                                                      detail::OpenHow<Answer<Fd>>(how, {}));
}

/// The same, into a free slot of `table`.
/// | OPENAT2 (direct) | 5.15, slot picked by the kernel 5.19 | openat2(2) | `path`, `table` | ENOENT, EXDEV, ENFILE |
inline IoOperation<FixedFile, detail::OpenHow<detail::SlotAnswer>> async_openat2(
    const FileTable& table, int directory, const char* path, const open_how& how) noexcept {
  Request request = detail::openat2_request(directory, path);
  request.extra = with_file_index(uapi::file_index_alloc);
  return IoOperation<FixedFile, detail::OpenHow<detail::SlotAnswer>>(
      request, detail::OpenHow<detail::SlotAnswer>(how, detail::SlotAnswer(table)));
}

/// statx(2): fills `into` with what `mask` (STATX_*) asks for. An empty `path` with AT_EMPTY_PATH means
/// `directory` itself.
/// | STATX | 5.6 | statx(2) | `path`, `into` | ENOENT, EACCES |
inline IoOperation<void> async_statx(int directory, const char* path, int flags, unsigned mask,
                                     struct statx& into) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(path),
                                   .fd = directory,
                                   .len = mask,
                                   .off = detail::address_of(&into),
                                   .head = head(Opcode::statx),
                                   .op_flags = static_cast<std::uint32_t>(flags)});
}

/// unlinkat(2). With AT_REMOVEDIR it removes a directory.
/// | UNLINKAT | 5.11 | unlinkat(2) | `path` | ENOENT, EISDIR, ENOTEMPTY |
inline IoOperation<void> async_unlinkat(int directory, const char* path, int flags = 0) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(path),
                                   .fd = directory,
                                   .head = head(Opcode::unlinkat),
                                   .op_flags = static_cast<std::uint32_t>(flags)});
}

/// renameat2(2). `flags` are RENAME_NOREPLACE or RENAME_EXCHANGE.
/// | RENAMEAT | 5.11 | renameat2(2) | `from`, `to` | ENOENT, EXDEV, EEXIST |
inline IoOperation<void> async_renameat(int from_directory, const char* from, int to_directory,
                                        const char* to, unsigned flags = 0) noexcept {
  return IoOperation<void>(
      detail::two_paths(Opcode::renameat, from_directory, from, to_directory, to, flags));
}

/// mkdirat(2).
/// | MKDIRAT | 5.15 | mkdirat(2) | `path` | EEXIST, ENOENT |
inline IoOperation<void> async_mkdirat(int directory, const char* path, mode_t mode) noexcept {
  return IoOperation<void>(
      Request{.addr = detail::address_of(path), .fd = directory, .len = mode, .head = head(Opcode::mkdirat)});
}

/// symlinkat(2): `path` becomes a link to `target`.
/// | SYMLINKAT | 5.15 | symlinkat(2) | `target`, `path` | EEXIST, ENOENT |
inline IoOperation<void> async_symlinkat(const char* target, int directory, const char* path) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(target),
                                   .fd = directory,
                                   .off = detail::address_of(path),
                                   .head = head(Opcode::symlinkat)});
}

/// linkat(2): `to` becomes another name of `from`.
/// | LINKAT | 5.15 | linkat(2) | `from`, `to` | EEXIST, ENOENT, EXDEV, EPERM |
inline IoOperation<void> async_linkat(int from_directory, const char* from, int to_directory, const char* to,
                                      unsigned flags = 0) noexcept {
  return IoOperation<void>(detail::two_paths(Opcode::linkat, from_directory, from, to_directory, to, flags));
}

/// fgetxattr(2): reads the attribute into `value`, and returns its size. With an empty `value` it only
/// returns the size.
/// | FGETXATTR | 5.19 | fgetxattr(2) | `name`, `value` | ENODATA, ERANGE, ENOTSUP |
inline IoOperation<std::size_t> async_fgetxattr(int file, const char* name,
                                                std::span<std::byte> value) noexcept {
  return IoOperation<std::size_t>(
      detail::attribute(Opcode::fgetxattr, file, nullptr, name, value.data(), value.size(), 0));
}

/// getxattr(2): the same for a path.
/// | GETXATTR | 5.19 | getxattr(2) | `path`, `name`, `value` | ENOENT, ENODATA, ERANGE, ENOTSUP |
inline IoOperation<std::size_t> async_getxattr(const char* path, const char* name,
                                               std::span<std::byte> value) noexcept {
  return IoOperation<std::size_t>(
      detail::attribute(Opcode::getxattr, 0, path, name, value.data(), value.size(), 0));
}

/// fsetxattr(2). `flags` are XATTR_CREATE or XATTR_REPLACE.
/// | FSETXATTR | 5.19 | fsetxattr(2) | `name`, `value` | EEXIST, ENODATA, ENOTSUP, ENOSPC |
inline IoOperation<void> async_fsetxattr(int file, const char* name, std::span<const std::byte> value,
                                         int flags = 0) noexcept {
  return IoOperation<void>(
      detail::attribute(Opcode::fsetxattr, file, nullptr, name, value.data(), value.size(), flags));
}

/// setxattr(2): the same for a path.
/// | SETXATTR | 5.19 | setxattr(2) | `path`, `name`, `value` | ENOENT, EEXIST, ENODATA, ENOTSUP |
inline IoOperation<void> async_setxattr(const char* path, const char* name, std::span<const std::byte> value,
                                        int flags = 0) noexcept {
  return IoOperation<void>(
      detail::attribute(Opcode::setxattr, 0, path, name, value.data(), value.size(), flags));
}

}  // namespace corering
