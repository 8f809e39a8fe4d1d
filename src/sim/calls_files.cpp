/// calls_files.cpp — reading, writing and syncing simulated files, and what is done with their names.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <corering/base/assert.hpp>

#include "base/kernel_memory.hpp"
#include "sim/calls.hpp"
#include "sim/file_system.hpp"

namespace corering::sim {
namespace {

/// After the power is off nothing happens any more.
bool is_off(System& system) noexcept { return system.files().is_off(); }

/// Counts a change, and makes it unless the power is off.
template <class Function>
int with_power(System& system, Function&& change) {
  system.count_for_power_cut();
  return is_off(system) ? -EIO : change();
}

bool is_directory(const OpenFile& file) noexcept { return file.inode->is_directory; }

/// Finds the path that an operation names, below the directory whose descriptor it gives. Returns 0 or
/// -errno.
int find_path(System& system, const Call& call, Path& into) {
  return system.resolve(call.sqe.fd, pointer_to<const char>(call.sqe.addr), into);
}

/// The same for an operation with two of them.
int find_second_path(System& system, const Call& call, Path& into) {
  return system.resolve(static_cast<int>(call.sqe.len), pointer_to<const char>(call.sqe.off), into);
}

/// A place or a size that no file has, because it is negative.
bool is_negative(std::uint64_t number) noexcept { return static_cast<std::int64_t>(number) < 0; }

std::size_t place_of(const Call& call, OpenFile& file) noexcept {
  return (call.sqe.off == ~std::uint64_t{0} ? file.position : call.sqe.off) + call.moved;
}

void move_on(const Call& call, OpenFile& file, std::size_t end) noexcept {
  if (call.sqe.off == ~std::uint64_t{0}) file.position = end;
}

}  // namespace

namespace calls {

Answer read_file(System& system, OpenFile& file, Call& call, bool by_helper) {
  if (opcode_of(call) == Opcode::read_multishot) return Answer::done(-EBADFD);
  if (!file.reads) return Answer::done(-EBADF);
  if (is_directory(file)) return Answer::done(Buffers(call).size() == 0 ? 0 : -EISDIR);
  if (call.sqe.off != ~std::uint64_t{0} && is_negative(call.sqe.off)) return Answer::done(-EINVAL);
  if (!by_helper && (call.sqe.op_flags & RWF_NOWAIT) == 0 && system.random().one_in(8))
    return Answer::helper();
  if (is_off(system) || system.strikes(Fault::eio)) return Answer::done(-EIO);
  const Buffers into(call);
  const std::string& content = file.inode->now;
  const std::size_t at = place_of(call, file);
  const std::size_t there = at >= content.size() ? 0 : std::min(content.size() - at, into.size());
  const std::size_t now = system.cut_short(Fault::short_read, there);
  into.fill(content.data() + std::min(at, content.size()), now);
  move_on(call, file, at + now);
  return Answer::done(static_cast<std::int64_t>(call.moved + now));
}

Answer write_file(System& system, OpenFile& file, Call& call, bool by_helper) {
  if (!file.writes) return Answer::done(-EBADF);
  if (call.sqe.off != ~std::uint64_t{0} && is_negative(call.sqe.off)) return Answer::done(-EINVAL);
  if (!by_helper && (call.sqe.op_flags & RWF_NOWAIT) == 0 && system.random().one_in(8))
    return Answer::helper();
  system.count_for_power_cut();
  if (is_off(system) || system.strikes(Fault::eio)) return Answer::done(-EIO);
  if (system.strikes(Fault::enospc)) return Answer::done(-ENOSPC);
  const Buffers from(call);
  const bool appends = file.appends || (call.sqe.op_flags & RWF_APPEND) != 0;
  const std::size_t at = appends ? file.inode->now.size() : place_of(call, file);
  if (from.size() > 0 && at >= Inode::most_bytes) return Answer::done(-EFBIG);
  const std::size_t room = std::min(from.size(), Inode::most_bytes - std::min(at, Inode::most_bytes));
  const std::size_t now = system.cut_short(Fault::short_write, room);
  std::string bytes(now, '\0');
  from.take(bytes.data(), now);
  if (now > 0) file.inode->write(at, bytes);
  if (file.syncs || (call.sqe.op_flags & (RWF_DSYNC | RWF_SYNC)) != 0) file.inode->sync();
  if (now > 0) move_on(call, file, at + now);
  return Answer::done(static_cast<std::int64_t>(call.moved + now));
}

namespace {

template <class Function>
Answer on_file(const std::shared_ptr<Object>& object, Function&& function) {
  if (object->kind != Object::Kind::file) return Answer::done(-EINVAL);
  auto& file = static_cast<OpenFile&>(*object);
  return file.is_only_path ? Answer::done(-EBADF) : function(file);
}

}  // namespace

Answer sync_file(System& system, const std::shared_ptr<Object>& object, Call& /*call*/) {
  return on_file(object, [&system](OpenFile& file) {
    system.count_for_power_cut();
    if (is_off(system) || system.strikes(Fault::eio)) return Answer::done(-EIO);
    if (!is_directory(file)) {
      file.inode->sync();
    } else if (const std::string path = system.files().path_of(*file.inode); !path.empty()) {
      system.files().sync_names(path);
    }
    return Answer::done(0);
  });
}

Answer truncate(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return on_file(object, [&](OpenFile& file) {
    if (is_directory(file) || !file.writes || is_negative(call.sqe.off)) return Answer::done(-EINVAL);
    if (call.sqe.off > Inode::most_bytes) return Answer::done(-EFBIG);
    return Answer::done(with_power(system, [&] {
      file.inode->resize(call.sqe.off);
      return 0;
    }));
  });
}

// Room is not counted, so only the size can change.
Answer allocate(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return on_file(object, [&](OpenFile& file) {
    const std::uint64_t begin = call.sqe.off, length = call.sqe.addr;
    const bool keeps_size = (call.sqe.len & FALLOC_FL_KEEP_SIZE) != 0;
    if (is_negative(begin) || is_negative(length) || length == 0) return Answer::done(-EINVAL);
    if ((call.sqe.len & ~unsigned{FALLOC_FL_KEEP_SIZE}) != 0) return Answer::done(-EOPNOTSUPP);
    if (is_directory(file) || !file.writes) return Answer::done(-EBADF);
    if (begin > Inode::most_bytes || length > Inode::most_bytes - begin) return Answer::done(-EFBIG);
    return Answer::done(with_power(system, [&] {
      if (system.strikes(Fault::enospc)) return -ENOSPC;
      if (!keeps_size && begin + length > file.inode->now.size()) file.inode->resize(begin + length);
      return 0;
    }));
  });
}

Answer advise(System& system, const std::shared_ptr<Object>& object, Call& call) {
  const bool is_advice = opcode_of(call) == Opcode::fadvise;
  const bool is_pipe = object->kind == Object::Kind::pipe;
  if (is_advice ? is_pipe : object->kind != Object::Kind::file) return Answer::done(-ESPIPE);
  if (is_advice && call.sqe.op_flags > POSIX_FADV_NOREUSE) return Answer::done(-EINVAL);
  return on_file(object, [&system](OpenFile&) { return Answer::done(is_off(system) ? -EIO : 0); });
}

// ---- names ----

namespace {

int create(System& system, const Path& path, std::uint32_t mode) {
  return with_power(system, [&] { return system.files().make(path, mode, S_IFREG); });
}

int empty(System& system, Inode& file) {
  return with_power(system, [&file] {
    file.resize(0);
    return 0;
  });
}

/// With O_PATH the other flags do not count.
std::uint64_t flags_that_count(std::uint64_t flags) noexcept {
  return (flags & O_PATH) != 0 ? flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : flags;
}

int open_existing(System& system, Inode& there, std::uint64_t flags) {
  if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return -EEXIST;
  if ((flags & O_DIRECTORY) != 0 && !there.is_directory) return -ENOTDIR;
  const bool empties = (flags & O_TRUNC) != 0;  // also when it is opened to read
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || empties;
  if (there.is_directory && (writes || (flags & O_CREAT) != 0)) return -EISDIR;
  if (there.is_socket() && (flags & O_PATH) == 0) return -ENXIO;
  return empties && !there.now.empty() ? empty(system, there) : 0;
}

int prepare_to_open(System& system, const Path& path, std::uint64_t flags, std::uint32_t mode) {
  if ((flags & O_CREAT) != 0) {
    if (path.end == Path::End::slash) return -EISDIR;
    if (system.files().find(path.whole) == nullptr) return create(system, path, mode);
  }
  std::shared_ptr<Inode> there;
  const int error = system.files().look_up(path, there);
  return error < 0 ? error : open_existing(system, *there, flags);
}

Answer open_path(System& system, const Call& call, std::uint64_t wanted, std::uint32_t mode) {
  const std::uint64_t flags = flags_that_count(wanted);
  constexpr std::uint64_t not_together = O_CREAT | O_DIRECTORY;
  if ((flags & not_together) == not_together) return Answer::done(-EINVAL);
  Path path;
  if (const int error = find_path(system, call, path); error < 0) return Answer::done(error);
  if (is_off(system)) return Answer::done(-EIO);
  if (system.strikes(Fault::emfile)) return Answer::done(-EMFILE);
  if (const int error = prepare_to_open(system, path, flags, mode); error < 0) return Answer::done(error);
  const auto file = std::make_shared<OpenFile>();
  file->inode = system.files().find(path.whole);
  CORERING_ASSERT(file->inode != nullptr, "what is opened is there");
  file->is_only_path = (flags & O_PATH) != 0;
  file->reads = (flags & O_ACCMODE) != O_WRONLY && !file->is_only_path;
  file->writes = (flags & O_ACCMODE) != O_RDONLY;
  file->appends = (flags & O_APPEND) != 0;
  file->syncs = (flags & (O_SYNC | O_DSYNC)) != 0;
  return Answer::done(system.open(file));
}

}  // namespace

Answer open_file(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  if (opcode_of(call) == Opcode::openat) return open_path(system, call, call.sqe.op_flags, call.sqe.len);
  const auto& how = *pointer_to<const open_how>(call.sqe.off);
  if (call.sqe.len < sizeof how || how.resolve != 0)
    return Answer::done(call.sqe.len < sizeof how ? -EINVAL : -EOPNOTSUPP);
  return open_path(system, call, how.flags, static_cast<std::uint32_t>(how.mode));
}

Answer stat_file(System& system, const std::shared_ptr<Object>& object, Call& call) {
  if (is_off(system)) return Answer::done(-EIO);
  const bool is_empty = call.sqe.addr == 0 || *pointer_to<const char>(call.sqe.addr) == '\0';
  if (is_empty && (call.sqe.op_flags & AT_EMPTY_PATH) == 0)
    return Answer::done(call.sqe.addr == 0 ? -EFAULT : -ENOENT);
  std::shared_ptr<Inode> inode;
  Path path;
  if (!is_empty) {
    if (const int error = find_path(system, call, path); error < 0) return Answer::done(error);
    if (const int error = system.files().look_up(path, inode); error < 0) return Answer::done(error);
  }
  if (is_empty && object != nullptr && object->kind == Object::Kind::file)
    inode = static_cast<const OpenFile&>(*object).inode;
  if (inode == nullptr) return Answer::done(is_empty ? -EBADF : -ENOENT);
  auto& into = *pointer_to<struct statx>(call.sqe.off);
  const kernel_memory::Lifted lifted(&into, sizeof into);
  into = {};
  into.stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_INO | STATX_SIZE | STATX_BLOCKS;
  into.stx_blksize = 4096;
  into.stx_nlink = system.files().links_of(*inode);
  into.stx_mode = static_cast<std::uint16_t>(inode->mode);
  into.stx_ino = inode->number;
  into.stx_size = inode->now.size();
  into.stx_blocks = (inode->now.size() + 511) / 512;
  return Answer::done(0);
}

Answer unlink_file(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(with_power(system, [&] {
    Path path;
    const bool is_directory = (call.sqe.op_flags & AT_REMOVEDIR) != 0;
    const int error = find_path(system, call, path);
    return error < 0 ? error : system.files().remove(path, is_directory);
  }));
}

Answer rename_file(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  constexpr std::uint32_t no_replace = 1;
  if ((call.sqe.op_flags & ~no_replace) != 0) return Answer::done(-EOPNOTSUPP);
  return Answer::done(with_power(system, [&] {
    Path from, to;
    if (const int error = find_path(system, call, from); error < 0) return error;
    if (const int error = find_second_path(system, call, to); error < 0) return error;
    return system.files().rename(from, to, (call.sqe.op_flags & no_replace) == 0);
  }));
}

Answer link_file(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(with_power(system, [&] {
    Path from, to;
    if (const int error = find_path(system, call, from); error < 0) return error;
    std::shared_ptr<Inode> linked;
    if (const int error = system.files().look_up(from, linked); error < 0) return error;
    if (const int error = find_second_path(system, call, to); error < 0) return error;
    return system.files().link(linked, to);
  }));
}

Answer make_directory(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(with_power(system, [&] {
    Path path;
    const int error = find_path(system, call, path);
    return error < 0 ? error : system.files().make(path, call.sqe.len, S_IFDIR);
  }));
}

}  // namespace calls
}  // namespace corering::sim
