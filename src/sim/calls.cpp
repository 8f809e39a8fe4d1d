/// calls.cpp — the table of operations, the buffers, and the objects that have no peers.
#include "sim/calls.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

#include <corering/base/assert.hpp>

#include "base/kernel_memory.hpp"

namespace corering::sim {
namespace {

bool has_list(const Call& call) noexcept {
  const Opcode opcode = opcode_of(call);
  const bool sends = opcode == Opcode::send || opcode == Opcode::send_zc;
  return opcode == Opcode::readv || opcode == Opcode::writev || opcode == Opcode::readv_fixed ||
         opcode == Opcode::writev_fixed || (sends && (call.sqe.ioprio & uapi::send_vectorized) != 0);
}

bool has_message(const Call& call) noexcept {
  const Opcode opcode = opcode_of(call);
  return opcode == Opcode::sendmsg || opcode == Opcode::recvmsg || opcode == Opcode::sendmsg_zc;
}

}  // namespace

// ---- buffers ----

Buffers::Buffers(const Call& call) {
  std::uint64_t moved = call.moved;
  const iovec* list = call.parts;
  std::size_t count = call.part_count;
  if (count == 0 && has_list(call)) {
    list = pointer_to<const iovec>(call.sqe.addr);
    count = call.sqe.len;
  } else if (count == 0 && has_message(call)) {
    list = pointer_to<const msghdr>(call.sqe.addr)->msg_iov;
    count = pointer_to<const msghdr>(call.sqe.addr)->msg_iovlen;
  } else if (count == 0) {
    add({pointer_to<void>(call.sqe.addr), call.sqe.len}, moved);
  }
  for (std::size_t i = 0; i < count; ++i) add(list[i], moved);
}

void Buffers::add(iovec part, std::uint64_t& moved) {
  const std::size_t skipped = std::min<std::size_t>(part.iov_len, moved);
  moved -= skipped;
  if (part.iov_len == skipped) return;
  parts_.push_back({static_cast<char*>(part.iov_base) + skipped, part.iov_len - skipped});
  size_ += part.iov_len - skipped;
}

template <class Copy>
void Buffers::for_first(std::size_t count, Copy&& copy) const noexcept {
  CORERING_ASSERT(count <= size_, "the kernel moves no more than it was asked for");
  for (const iovec& part : parts_) {
    const std::size_t now = std::min(part.iov_len, count);
    if (now == 0) return;
    const kernel_memory::Lifted lifted(part.iov_base, now);
    copy(static_cast<char*>(part.iov_base), now);
    count -= now;
  }
}

void Buffers::fill(const char* from, std::size_t count) const noexcept {
  for_first(count, [&from](char* into, std::size_t now) {
    std::copy_n(std::exchange(from, from + now), now, into);
  });
}

void Buffers::take(char* into, std::size_t count) const noexcept {
  for_first(count, [&into](const char* from, std::size_t now) { into = std::copy_n(from, now, into); });
}

namespace {

/// Where the call will write. One that chooses its buffer has none while it waits, and an accept of many
/// connections writes a name for each.
std::vector<iovec> memory_of(const Call& call) {
  if ((call.sqe.flags & uapi::sqe_buffer_select) != 0) return {};
  switch (opcode_of(call)) {
    case Opcode::read:
    case Opcode::readv:
    case Opcode::read_fixed:
    case Opcode::readv_fixed:
    case Opcode::recv:
    case Opcode::recvmsg:
      return Buffers(call).parts();
    case Opcode::statx:
      return {{pointer_to<void>(call.sqe.off), sizeof(struct statx)}};
    case Opcode::waitid:
      if (call.sqe.off == 0) return {};
      return {{pointer_to<void>(call.sqe.off), sizeof(siginfo_t)}};
    case Opcode::accept:
      if (call.sqe.addr == 0 || (call.sqe.ioprio & uapi::accept_multishot) != 0) return {};
      return {{pointer_to<void>(call.sqe.addr), *pointer_to<socklen_t>(call.sqe.off)}};
    default:
      return {};
  }
}

}  // namespace

void take_memory(Watch& watch) {
  if (!kernel_memory::is_watched || !watch.buffers.empty()) return;
  watch.buffers = memory_of(*watch.call);
  for (const iovec& part : watch.buffers) kernel_memory::take(part.iov_base, part.iov_len);
}

// ---- how transfers end ----

namespace {

/// A receive or a send, which only sockets know.
bool is_told(Opcode opcode) noexcept {
  return opcode == Opcode::recv || opcode == Opcode::recvmsg || opcode == Opcode::send ||
         opcode == Opcode::sendmsg || opcode == Opcode::send_zc || opcode == Opcode::sendmsg_zc;
}

}  // namespace

std::uint32_t message_flags_of(const Call& call) noexcept {
  if (is_told(opcode_of(call))) return call.sqe.op_flags;
  return (call.sqe.op_flags & RWF_NOWAIT) != 0 ? MSG_DONTWAIT : 0;
}

namespace calls {

Answer moved_now(Call& call, std::size_t now, bool is_all, std::uint32_t event) noexcept {
  const bool wants_all = (message_flags_of(call) & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
  const bool goes_on = wants_all && !is_all && !has_list(call);
  if (!goes_on) return Answer::done(static_cast<std::int64_t>(call.moved + now));
  call.moved += now;
  return Answer::waits(call.sqe.fd, event);
}

Answer nothing_now(const Object& object, const Call& call, std::uint32_t event) noexcept {
  if (object.is_nonblocking || (message_flags_of(call) & MSG_DONTWAIT) != 0)
    return Answer::done(call.moved > 0 ? static_cast<std::int64_t>(call.moved) : -EAGAIN);
  return Answer::waits(call.sqe.fd, event);
}

// ---- eventfds ----

Answer read_counter(System& system, Counter& counter, Call& call) {
  const Buffers into(call);
  if (into.size() < sizeof counter.count) return Answer::done(-EINVAL);
  if (counter.count == 0) return nothing_now(counter, call, POLLIN);
  const std::uint64_t count = std::exchange(counter.count, 0);
  into.fill(reinterpret_cast<const char*>(&count), sizeof count);
  system.changed(counter);
  return Answer::done(sizeof count);
}

Answer write_counter(System& system, Counter& counter, Call& call) {
  const Buffers from(call);
  std::uint64_t by = 0;
  if (from.size() < sizeof by) return Answer::done(-EINVAL);
  from.take(reinterpret_cast<char*>(&by), sizeof by);
  if (by == ~std::uint64_t{0}) return Answer::done(-EINVAL);
  counter.count += by;
  system.changed(counter);
  return Answer::done(sizeof by);
}

// ---- pipes ----

Answer read_pipe(System& system, PipeEnd& end, Call& call) {
  if (end.writes) return Answer::done(-EBADF);
  const Buffers into(call);
  const std::size_t there = std::min(into.size(), end.bytes.arrived());
  if (into.size() == 0) return Answer::done(0);
  if (there == 0 && (end.other == nullptr || end.other->is_closed)) return Answer::done(0);
  if (there == 0) return nothing_now(end, call, POLLIN);
  const std::size_t now = system.cut_short(Fault::short_read, there);
  into.fill(end.bytes.data(), now);
  end.bytes.consume(now);
  if (end.other != nullptr) system.changed(*end.other);
  return Answer::done(static_cast<std::int64_t>(now));
}

Answer write_pipe(System& system, PipeEnd& end, Call& call) {
  if (!end.writes) return Answer::done(-EBADF);
  const Buffers from(call);
  if (from.size() == 0) return Answer::done(0);
  if (end.other == nullptr || end.other->is_closed) return Answer::done(-EPIPE);
  PipeEnd& reader = *end.other;
  const std::size_t room = std::min(PipeEnd::capacity - reader.bytes.size(), from.size());
  const bool is_atomic = from.size() <= 4096;
  if (room == 0 || (is_atomic && room < from.size())) return nothing_now(end, call, POLLOUT);
  const std::size_t now = is_atomic ? room : system.cut_short(Fault::short_write, room);
  std::string taken(now, '\0');
  from.take(taken.data(), now);
  reader.bytes.append(taken.data(), now);
  reader.bytes.arrive(now);
  system.changed(reader);
  return Answer::done(static_cast<std::int64_t>(now));
}

}  // namespace calls

// ---- the table ----

namespace {

using calls::accept;
using Attempt = Answer (*)(System&, const std::shared_ptr<Object>&, Call&);

bool is_socket(const Object& object) noexcept {
  return object.kind == Object::Kind::stream || object.kind == Object::Kind::datagram;
}

Answer read(System& system, const std::shared_ptr<Object>& object, Call& call) {
  if (is_socket(*object) && !is_told(opcode_of(call)) && Buffers(call).size() == 0) return Answer::done(0);
  switch (object->kind) {
    case Object::Kind::counter:
      return calls::read_counter(system, static_cast<Counter&>(*object), call);
    case Object::Kind::pipe:
      return calls::read_pipe(system, static_cast<PipeEnd&>(*object), call);
    case Object::Kind::stream:
      return calls::receive(system, static_cast<StreamSocket&>(*object), call);
    case Object::Kind::datagram:
      return calls::receive_datagram(system, static_cast<DatagramSocket&>(*object), call);
    case Object::Kind::signals:
      return calls::read_signals(system, static_cast<SignalFile&>(*object), call);
    default:
      return Answer::done(-EINVAL);
  }
}

Answer write(System& system, const std::shared_ptr<Object>& object, Call& call) {
  switch (object->kind) {
    case Object::Kind::counter:
      return calls::write_counter(system, static_cast<Counter&>(*object), call);
    case Object::Kind::pipe:
      return calls::write_pipe(system, static_cast<PipeEnd&>(*object), call);
    case Object::Kind::stream:
      return calls::send(system, static_cast<StreamSocket&>(*object), call);
    case Object::Kind::datagram:
      return calls::send_datagram(system, static_cast<DatagramSocket&>(*object), call);
    default:
      return Answer::done(-EINVAL);
  }
}

/// A read or a write at a place, which a socket does not have.
bool seeks(const Object& object, const Call& call) noexcept {
  return is_socket(object) && !is_told(opcode_of(call)) && call.sqe.off != 0 &&
         call.sqe.off != ~std::uint64_t{0};
}

Answer receive(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return is_socket(*object) ? read(system, object, call) : Answer::done(-ENOTSOCK);
}
Answer send(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return is_socket(*object) ? write(system, object, call) : Answer::done(-ENOTSOCK);
}
Answer accept_on(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return calls::accept(system, *object, call);
}
Answer shut_down(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return calls::shut_down(system, *object, call);
}
Answer command(System& system, const std::shared_ptr<Object>& object, Call& call) {
  return calls::command(system, *object, call);
}
Answer close(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(system.close(call.sqe.fd));
}
Answer make_socket(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(system.socket(call.sqe.fd, static_cast<int>(call.sqe.off)));
}
Answer make_pipe(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  if (call.sqe.addr == 0) return Answer::done(-EFAULT);
  if ((call.sqe.op_flags & O_EXCL) != 0) return Answer::done(-ENOPKG);  // O_NOTIFICATION_PIPE
  return Answer::done(system.strikes(Fault::emfile) ? -EMFILE : system.pipe(pointer_to<int>(call.sqe.addr)));
}
Answer bind(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(system.bind(call.sqe.fd, pointer_to<const sockaddr>(call.sqe.addr),
                                  static_cast<socklen_t>(call.sqe.off)));
}
Answer listen(System& system, const std::shared_ptr<Object>& /*object*/, Call& call) {
  return Answer::done(system.listen(call.sqe.fd, static_cast<int>(call.sqe.len)));
}

struct Row {
  Attempt attempt = nullptr;
  bool needs_object = true;
  bool takes_time = false;  ///< a helper does it
};
using Table = std::array<Row, opcode_names.size()>;

constexpr Table every_call = [] {
  Table table{};
  const auto at = [&table](Opcode opcode) -> Row& { return table[static_cast<std::size_t>(opcode)]; };
  for (const Opcode opcode :
       {Opcode::read, Opcode::readv, Opcode::read_fixed, Opcode::readv_fixed, Opcode::read_multishot})
    at(opcode) = {.attempt = read};
  for (const Opcode opcode : {Opcode::write, Opcode::writev, Opcode::write_fixed, Opcode::writev_fixed})
    at(opcode) = {.attempt = write};
  for (const Opcode opcode : {Opcode::recv, Opcode::recvmsg}) at(opcode) = {.attempt = receive};
  for (const Opcode opcode : {Opcode::send, Opcode::sendmsg, Opcode::send_zc, Opcode::sendmsg_zc})
    at(opcode) = {.attempt = send};
  at(Opcode::accept) = {.attempt = accept_on};
  at(Opcode::connect) = {.attempt = calls::connect};
  at(Opcode::shutdown) = {.attempt = shut_down, .takes_time = true};
  at(Opcode::uring_cmd) = {.attempt = command};
  at(Opcode::bind) = {.attempt = bind};
  at(Opcode::listen) = {.attempt = listen};
  at(Opcode::fsync) = {.attempt = calls::sync_file, .takes_time = true};
  at(Opcode::sync_file_range) = {.attempt = calls::advise, .takes_time = true};
  at(Opcode::fadvise) = {.attempt = calls::advise};
  at(Opcode::ftruncate) = {.attempt = calls::truncate, .takes_time = true};
  at(Opcode::fallocate) = {.attempt = calls::allocate, .takes_time = true};
  const auto at_path = [&at](Opcode opcode, Attempt attempt) {
    at(opcode) = {.attempt = attempt, .needs_object = false, .takes_time = true};
  };
  at_path(Opcode::openat, calls::open_file);
  at_path(Opcode::openat2, calls::open_file);
  at_path(Opcode::statx, calls::stat_file);
  at_path(Opcode::unlinkat, calls::unlink_file);
  at_path(Opcode::renameat, calls::rename_file);
  at_path(Opcode::linkat, calls::link_file);
  at_path(Opcode::mkdirat, calls::make_directory);
  at(Opcode::close) = {.attempt = close, .needs_object = false};
  at(Opcode::socket) = {.attempt = make_socket, .needs_object = false};
  at(Opcode::pipe) = {.attempt = make_pipe, .needs_object = false};
  at(Opcode::waitid) = {.attempt = calls::wait_for_child, .needs_object = false};
  return table;
}();

}  // namespace

namespace {

bool is_transfer(const Row& row) noexcept {
  return row.attempt == read || row.attempt == write || row.attempt == receive || row.attempt == send;
}

/// There is no memory on the first page.
bool is_nowhere(const Call& call) noexcept {
  return call.part_count == 0 && call.sqe.len > 0 && call.sqe.addr < 4096;
}

}  // namespace

bool is_modelled(Opcode opcode) noexcept {
  switch (opcode) {
    case Opcode::nop:
    case Opcode::poll_add:
    case Opcode::poll_remove:
    case Opcode::timeout:
    case Opcode::timeout_remove:
    case Opcode::link_timeout:
    case Opcode::async_cancel:
    case Opcode::msg_ring:
    case Opcode::files_update:
    case Opcode::fixed_fd_install:
      return true;  // the ring does them by itself
    default:
      return every_call[static_cast<std::size_t>(opcode)].attempt != nullptr;
  }
}

Answer attempt_call(System& system, const std::shared_ptr<Object>& object, Call& call,
                    bool by_helper) noexcept {
  const Row& row = every_call[call.sqe.opcode];
  if (row.attempt == nullptr) return Answer::done(-EOPNOTSUPP);
  if (row.needs_object && object == nullptr) return Answer::done(-EBADF);
  if (is_transfer(row) && is_nowhere(call)) return Answer::done(-EFAULT);
  if (is_transfer(row) && seeks(*object, call)) return Answer::done(-ESPIPE);
  if (object != nullptr && object->kind == Object::Kind::file && row.attempt == read)
    return calls::read_file(system, static_cast<OpenFile&>(*object), call, by_helper);
  if (object != nullptr && object->kind == Object::Kind::file && row.attempt == write)
    return calls::write_file(system, static_cast<OpenFile&>(*object), call, by_helper);
  if ((row.takes_time || call.wants_helper) && !by_helper) return Answer::helper();
  return row.attempt(system, object, call);
}

}  // namespace corering::sim
