/// os_calls_files.cpp — read and write: at once if the kernel can without waiting, else on a helper.
#include <algorithm>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <corering/base/fd.hpp>

#include "emulation/os_calls.hpp"
#include "emulation/rest_of_call.hpp"

namespace corering::emulation {
namespace {

using Record = DescriptorRecords::Record;

struct Direction {
  decltype(&::preadv2) transfer;
  std::uint32_t event;
  bool Record::* on_helper;
};
constexpr Direction reading{&::preadv2, POLLIN, &Record::reads_on_helper};
constexpr Direction writing{&::pwritev2, POLLOUT, &Record::writes_on_helper};

/// The buffers of one read or write.
struct Buffers {
  iovec one;
  const iovec* list;
  std::size_t count;

  explicit Buffers(const Call& call) noexcept
      : one{pointer<void>(call.sqe.addr), std::min<std::size_t>(call.sqe.len, most_bytes)},
        list(&one),
        count(1) {
    if (call.part_count > 0) {
      list = call.parts;
      count = call.part_count;
    } else if (has_list(opcode_of(call))) {
      list = pointer<const iovec>(call.sqe.addr);
      count = call.sqe.len;
    }
  }
  Buffers(Buffers&&) = delete;

  static bool has_list(Opcode opcode) noexcept {
    return opcode == Opcode::readv || opcode == Opcode::writev || opcode == Opcode::readv_fixed ||
           opcode == Opcode::writev_fixed;
  }
};

// A file of a disk: it has no readiness, and less than was asked for is not all there is.
bool is_on_disk(int fd) noexcept {
  struct stat about{};
  if (::fstat(fd, &about) != 0) return false;
  return S_ISREG(about.st_mode) || S_ISBLK(about.st_mode) || S_ISDIR(about.st_mode);
}

// Nobody can wait for it: a file of a disk, /dev/zero and the like.
bool is_always_ready(int fd) noexcept {
  struct stat about{};
  if (is_on_disk(fd)) return true;
  if (::fstat(fd, &about) != 0 || !S_ISCHR(about.st_mode)) return false;
  const Fd set(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event nothing{};
  return set.is_open() && ::epoll_ctl(set.get(), EPOLL_CTL_ADD, fd, &nothing) != 0 && errno == EPERM;
}

bool is_nonblocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

// Zero bytes mean something to some files, and then preadv2 and pwritev2 do not come to them: a datagram
// without content is sent, and an eventfd says EINVAL.
std::int64_t move_nothing(const Direction& direction, const Call& call) noexcept {
  const int fd = call.sqe.fd;
  if (direction.event == POLLIN) return retried([&] { return ::read(fd, nullptr, 0); });
  if (!is_socket(fd)) return retried([&] { return ::write(fd, nullptr, 0); });
  return retried([&] { return ::send(fd, nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

// One system call for what is left. Where there are no positions, a position means nothing; only sockets mind
// any but 0.
std::int64_t move_once(const Direction& direction, Call& call, const RestOfCall& rest, int flags) noexcept {
  const auto transfer = [&](off_t offset) {
    return retried([&] {
      return direction.transfer(call.sqe.fd, rest.data(), static_cast<int>(rest.count()), offset, flags);
    });
  };
  const auto position = static_cast<off_t>(call.sqe.off);
  std::int64_t moved = transfer(position == -1 ? -1 : position + static_cast<off_t>(call.moved));
  if (moved == -ESPIPE && (position == 0 || !is_socket(call.sqe.fd))) moved = transfer(-1);
  const bool is_nothing = moved == 0 && rest.bytes() == 0 && call.moved == 0;
  return is_nothing && !is_on_disk(call.sqe.fd) ? move_nothing(direction, call) : moved;
}

/// Where a transfer stands after a system call.
struct Step {
  std::int64_t moved;  ///< or -errno
  bool is_full;        ///< it moved all that it was asked for
  bool has_more;       ///< and there are more buffers
};

Step step(const Direction& direction, Call& call, int flags) noexcept {
  const Buffers buffers(call);
  const RestOfCall rest(buffers.list, buffers.count, call.moved, most_bytes - call.moved);
  const std::int64_t moved = move_once(direction, call, rest, flags);
  if (moved > 0) call.moved += static_cast<std::uint64_t>(moved);
  return {.moved = moved,
          .is_full = moved >= 0 && static_cast<std::uint64_t>(moved) == rest.bytes(),
          .has_more = rest.data() != buffers.list && rest.count() == 16};
}

// The file's driver cannot be asked not to wait.
Answer without_nowait(const Direction& direction, Call& call) noexcept {
  if (is_nonblocking(call.sqe.fd)) {
    const Step plain = step(direction, call, static_cast<int>(call.sqe.op_flags));
    return ended(call, plain.moved);  // EAGAIN, too, as io_uring does where it cannot ask
  }
  const bool is_ready = shown_events(call.sqe.fd, direction.event) != 0;
  return is_ready ? Answer::helper() : Answer::waits(call.sqe.fd, direction.event);
}

// O_DIRECT reads the disk, RWF_NOWAIT or not. A file that is appended to gets its bytes in one call.
void learn_flags(Record& record, int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  record.has_flags = flags >= 0;
  if (!record.has_flags) return;
  record.reads_on_helper = (flags & O_DIRECT) != 0 && is_on_disk(fd);
  record.writes_on_helper = (flags & (O_DIRECT | O_APPEND)) != 0 && is_on_disk(fd);
}

bool is_for_helper(const Direction& direction, DescriptorRecords& descriptors, const Call& call) noexcept {
  Record* const record = descriptors.make(call.sqe.fd);
  if (record == nullptr) return false;
  if (!record->has_flags) learn_flags(*record, call.sqe.fd);
  return call.wants_helper ? is_on_disk(call.sqe.fd) : record->*direction.on_helper;
}

// Decides what comes next after an attempt that did not move everything; nothing if it is to be repeated.
std::optional<Answer> after_less(const Direction& direction, Call& call, std::int64_t moved,
                                 Record* record) noexcept {
  const bool refuses = moved == -EOPNOTSUPP;
  if (moved == 0 || (moved < 0 && moved != -EAGAIN && !refuses)) return ended(call, moved);
  // Whatever was reported ready has readiness, so it is no file of a disk.
  if (call.was_ready || !is_on_disk(call.sqe.fd)) {
    if (moved > 0) return ended(call, moved);
    if ((call.sqe.op_flags & RWF_NOWAIT) != 0) return ended(call, moved);
    if (refuses) return without_nowait(direction, call);
    if (call.was_ready && direction.event == POLLIN && has_been_shut(call.sqe.fd)) return ended(call, 0);
    return waits_again(call, direction.event);
  }
  if (moved > 0) return std::nullopt;
  if ((call.sqe.op_flags & RWF_NOWAIT) != 0) return ended(call, moved);
  if (refuses && record != nullptr) record->*direction.on_helper = true;
  return Answer::helper();
}

// It has moved a part as a plain call, and only a file of a disk has more at once.
bool has_all_there_is(const Call& call) noexcept { return call.moved > 0 && !is_on_disk(call.sqe.fd); }

Answer attempt(const Direction& direction, DescriptorRecords& descriptors, Call& call) noexcept {
  if (has_all_there_is(call)) return ended(call, 0);
  const bool may_wait = (call.sqe.op_flags & RWF_NOWAIT) == 0;
  if (may_wait && is_for_helper(direction, descriptors, call)) return Answer::helper();
  const int flags = static_cast<int>(call.sqe.op_flags) | RWF_NOWAIT;
  for (;;) {
    if (call.moved >= most_bytes) return ended(call, 0);
    const Step now = step(direction, call, flags);
    if (now.is_full && !now.has_more) return ended(call, now.moved);
    if (now.is_full) continue;
    const auto answer = after_less(direction, call, now.moved, descriptors.find(call.sqe.fd));
    if (answer.has_value()) return *answer;
  }
}

// On a helper: the rest of a file, however long it takes. Everything else is tried as on the ring's thread,
// except what has shown that it is ready and whose driver cannot be asked: that waits if somebody was faster.
Answer lent(const Direction& direction, Call& call) noexcept {
  const bool on_disk = is_on_disk(call.sqe.fd);
  if (!on_disk) say_hints_are_wrong(call);
  if (!on_disk && shown_events(call.sqe.fd, direction.event) == 0)
    return Answer::waits(call.sqe.fd, direction.event);
  const int flags = static_cast<int>(call.sqe.op_flags);
  for (;;) {
    if (call.moved >= most_bytes) return ended(call, 0);
    Step now = step(direction, call, on_disk ? flags : flags | RWF_NOWAIT);
    if (!on_disk && now.moved == -EAGAIN) return Answer::waits(call.sqe.fd, direction.event);
    if (!on_disk && now.moved == -EOPNOTSUPP) now = step(direction, call, flags);
    if (!on_disk || !now.is_full || !now.has_more) return ended(call, now.moved);
  }
}

}  // namespace

namespace calls {

Answer read(DescriptorRecords& descriptors, Call& call) noexcept {
  // Many reads of a file that cannot be waited for would never end to find something.
  if (opcode_of(call) == Opcode::read_multishot && is_always_ready(call.sqe.fd)) return Answer::done(-EBADFD);
  return attempt(reading, descriptors, call);
}
Answer write(DescriptorRecords& descriptors, Call& call) noexcept {
  return attempt(writing, descriptors, call);
}
Answer read_lent(Call& call) noexcept { return lent(reading, call); }
Answer write_lent(Call& call) noexcept { return lent(writing, call); }

}  // namespace calls
}  // namespace corering::emulation
