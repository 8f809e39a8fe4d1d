/// calls_sockets.cpp — sending, receiving, accepting: what the two sides of a connection see of each other.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include <corering/base/assert.hpp>

#include "sim/calls.hpp"

namespace corering::sim {
namespace {

constexpr std::int64_t microsecond = 1'000;
constexpr std::int64_t second = 1'000'000'000;

/// How long bytes are on their way. A clogged link takes up to two seconds.
std::int64_t on_the_way(System& system) noexcept {
  Random& random = system.random();
  if (system.strikes(Fault::stall)) return static_cast<std::int64_t>(system.draw(Fault::stall, 2 * second));
  return 10 * microsecond + static_cast<std::int64_t>(random.below(50 * microsecond));
}

bool peeks(const Call& call) noexcept { return (message_flags_of(call) & MSG_PEEK) != 0; }

/// A reset that nobody asked for, as when a machine between the two goes away.
void cut(System& system, StreamSocket& socket) {
  for (StreamSocket* const end : {&socket, socket.peer.get()}) {
    if (end == nullptr || end->is_closed) continue;
    end->reset_by_peer();
    system.changed(*end);
  }
}

void bytes_arrive(System& system, System::Plan& plan) {
  auto& socket = static_cast<StreamSocket&>(*plan.object);
  if (socket.is_closed || socket.is_reset || socket.in.size() == 0) return;
  if (socket.family != AF_UNIX && socket.is_shut_reading && socket.is_shut_writing)
    return cut(system, socket);
  socket.in.arrive(plan.number);
  CORERING_ASSERT(socket.in.arrived() <= socket.in.size(), "what arrives was sent");
  system.note(Happening::Kind::arrives, 0, socket.number, static_cast<std::int32_t>(plan.number));
  system.changed(socket);
}

/// Tells that nothing was sent along with the bytes.
void tell_no_more(const Call& call, const Name* from, int flags) noexcept {
  if (opcode_of(call) != Opcode::recvmsg) return;
  auto& message = *pointer_to<msghdr>(call.sqe.addr);
  if (message.msg_name != nullptr && from != nullptr) {
    from->copy_to(message.msg_name, &message.msg_namelen);
  } else {
    message.msg_namelen = 0;
  }
  message.msg_controllen = 0;
  message.msg_flags = flags;
}

Answer with_part(const Call& call, std::int64_t otherwise) noexcept {
  return Answer::done(call.moved > 0 ? static_cast<std::int64_t>(call.moved) : otherwise);
}

bool sends_more_than_bytes(const Call& call) noexcept {
  const bool is_message = opcode_of(call) == Opcode::sendmsg || opcode_of(call) == Opcode::sendmsg_zc;
  return is_message && pointer_to<const msghdr>(call.sqe.addr)->msg_controllen > 0;
}

bool is_zero_copy_to_unix(const Socket& socket, const Call& call) noexcept {
  const Opcode opcode = opcode_of(call);
  return socket.family == AF_UNIX && (opcode == Opcode::send_zc || opcode == Opcode::sendmsg_zc);
}

}  // namespace

namespace calls {

// ---- streams ----

Answer receive(System& system, StreamSocket& socket, Call& call) {
  const Buffers into(call);
  if (socket.state == StreamSocket::State::connecting) return nothing_now(socket, call, POLLIN);
  if (!socket.is_connected() && (socket.family == AF_UNIX || !socket.is_shut_reading))
    return Answer::done(socket.family == AF_UNIX ? -EINVAL : -ENOTCONN);
  if (into.size() > 0 && system.strikes(Fault::reset)) cut(system, socket);
  const std::size_t there = std::min(into.size(), socket.in.arrived());
  if (into.size() == 0 && socket.in.arrived() > 0) return Answer::done(0);
  if (there == 0) {
    const bool has_ended = socket.ends && socket.family != AF_UNIX;  // then nobody looks at its error
    if (socket.error != 0 && !has_ended) return with_part(call, -std::exchange(socket.error, 0));
    if (socket.ends || socket.is_shut_reading || socket.is_reset) {
      tell_no_more(call, nullptr, 0);
      return with_part(call, 0);
    }
    return nothing_now(socket, call, POLLIN);
  }
  const std::size_t now = system.cut_short(Fault::short_receive, there);
  const bool throws_away = socket.family != AF_UNIX && (message_flags_of(call) & MSG_TRUNC) != 0;
  if (!throws_away) into.fill(socket.in.data(), now);
  tell_no_more(call, nullptr, 0);
  if (!peeks(call)) socket.in.consume(now);
  if (!peeks(call) && socket.peer != nullptr) system.changed(*socket.peer);
  return moved_now(call, now, now == into.size(), POLLIN);
}

Answer send(System& system, StreamSocket& socket, Call& call) {
  if (sends_more_than_bytes(call) || is_zero_copy_to_unix(socket, call)) return Answer::done(-EOPNOTSUPP);
  if (socket.state == StreamSocket::State::connecting) return nothing_now(socket, call, POLLOUT);
  if (!socket.is_connected() && !socket.is_shut_writing)
    return Answer::done(socket.family == AF_UNIX ? -ENOTCONN : -EPIPE);
  const Buffers from(call);
  if (from.size() > 0 && system.strikes(Fault::reset)) cut(system, socket);
  const bool is_unix_end = socket.family == AF_UNIX && socket.is_shut_writing;  // it does not ask further
  if (socket.error != 0 && !is_unix_end) return with_part(call, -std::exchange(socket.error, 0));
  if (socket.is_shut_writing || socket.is_reset) return with_part(call, -EPIPE);
  if (from.size() == 0) return Answer::done(0);
  StreamSocket& peer = *socket.peer;
  if (peer.is_closed && socket.family == AF_UNIX) return with_part(call, -EPIPE);
  const std::size_t room = peer.is_closed ? from.size() : std::min(peer.room(), from.size());
  if (room == 0) return nothing_now(socket, call, POLLOUT);
  const std::size_t now = system.cut_short(Fault::short_send, room);
  if (peer.is_closed) {
    socket.reset_by_peer();  // its answer to these bytes; who waits here learns of it, and the next call
    system.changed(socket);
  } else {
    std::string bytes(now, '\0');
    from.take(bytes.data(), now);
    peer.in.append(bytes.data(), now);
    peer.arrives_at = std::max(peer.arrives_at, system.since_begin() + on_the_way(system));
    system.plan(peer.arrives_at - system.since_begin(),
                {.happens = bytes_arrive, .object = socket.peer, .number = now});
  }
  return moved_now(call, now, now == from.size(), POLLOUT);
}

namespace {

Answer shut_datagram_down(System& system, DatagramSocket& socket, int how) {
  if (how < SHUT_RD || how > SHUT_RDWR) return Answer::done(-EINVAL);
  socket.is_shut_writing = socket.is_shut_writing || how != SHUT_RD;
  socket.is_shut_reading = socket.is_shut_reading || how != SHUT_WR;
  system.changed(socket);
  return Answer::done(socket.is_connected || socket.family == AF_UNIX ? 0 : -ENOTCONN);  // shut all the same
}

}  // namespace

Answer shut_down(System& system, Object& object, Call& call) {
  const auto how = static_cast<int>(call.sqe.len);
  if (object.kind == Object::Kind::datagram)
    return shut_datagram_down(system, static_cast<DatagramSocket&>(object), how);
  if (object.kind != Object::Kind::stream) return Answer::done(-ENOTSOCK);
  auto& socket = static_cast<StreamSocket&>(object);
  if (how < SHUT_RD || how > SHUT_RDWR) return Answer::done(-EINVAL);
  if (socket.is_listening()) return Answer::done(how == SHUT_WR ? 0 : system.stop_listening(socket));
  if (!socket.is_connected() && socket.family == AF_UNIX) return Answer::done(-ENOTCONN);
  const bool is_over =
      socket.family != AF_UNIX && (socket.is_reset || (socket.ends && socket.is_shut_writing));
  if (how != SHUT_RD) system.end_connection(socket, Ending::shutdown);
  socket.is_shut_writing = socket.is_shut_writing || how != SHUT_RD;
  socket.is_shut_reading = socket.is_shut_reading || how != SHUT_WR;
  if (how != SHUT_WR && socket.family == AF_UNIX && socket.peer != nullptr) {
    socket.peer->is_shut_writing = true;
    system.changed(*socket.peer);
  }
  system.changed(socket);
  return Answer::done(socket.is_connected() && !is_over ? 0 : -ENOTCONN);
}

// ---- connections ----

Answer accept(System& system, Object& object, Call& call) {
  if (object.kind != Object::Kind::stream)
    return Answer::done(object.kind == Object::Kind::datagram ? -EOPNOTSUPP : -ENOTSOCK);
  auto& listener = static_cast<StreamSocket&>(object);
  if (listener.state != StreamSocket::State::listening) return Answer::done(-EINVAL);
  if (listener.line.empty()) {
    const bool may_wait = (call.sqe.ioprio & uapi::accept_dontwait) == 0 && !listener.is_nonblocking;
    return may_wait ? Answer::waits(call.sqe.fd, POLLIN) : Answer::done(-EAGAIN);
  }
  if (!system.may_open() || system.strikes(Fault::emfile)) return Answer::done(-EMFILE);
  CORERING_ASSERT(listener.line.front()->uses == 0, "what waits in the line has no descriptor yet");
  const std::shared_ptr<StreamSocket> made = std::move(listener.line.front());
  listener.line.pop_front();
  system.let_connect(listener);
  made->is_nonblocking = (call.sqe.op_flags & SOCK_NONBLOCK) != 0;
  made->peer_name.copy_to(pointer_to<void>(call.sqe.addr), pointer_to<socklen_t>(call.sqe.off));
  return Answer::done(system.open(made));
}

Answer connect(System& system, const std::shared_ptr<Object>& object, Call& call) {
  const Name name(pointer_to<const sockaddr>(call.sqe.addr), static_cast<socklen_t>(call.sqe.off));
  if (object->kind == Object::Kind::datagram)
    return Answer::done(system.connect_datagram(static_cast<DatagramSocket&>(*object), name));
  if (object->kind != Object::Kind::stream) return Answer::done(-ENOTSOCK);
  auto& socket = static_cast<StreamSocket&>(*object);
  const bool was_begun = call.moved > 0;
  int result = 0;
  if (!was_begun) result = system.begin_connect(std::static_pointer_cast<StreamSocket>(object), name);
  if (was_begun && socket.state == StreamSocket::State::connecting) result = -EINPROGRESS;
  if (was_begun && socket.error != 0) result = -std::exchange(socket.error, 0);
  if (was_begun && socket.state == StreamSocket::State::failed) socket.state = StreamSocket::State::fresh;
  if (result != -EINPROGRESS || object->is_nonblocking) return Answer::done(result);
  call.moved = 1;
  return Answer::waits(call.sqe.fd, POLLOUT);
}

// ---- datagrams ----

Answer receive_datagram(System& system, DatagramSocket& socket, Call& call) {
  if (socket.error != 0) return Answer::done(-std::exchange(socket.error, 0));
  const bool may_wait = !socket.is_nonblocking && (message_flags_of(call) & MSG_DONTWAIT) == 0;
  if (socket.in.empty() && socket.is_shut_reading && may_wait) {
    tell_no_more(call, nullptr, 0);
    return Answer::done(0);
  }
  if (socket.in.empty()) return nothing_now(socket, call, POLLIN);
  const Buffers into(call);
  const DatagramSocket::Datagram& first = socket.in.front();
  const std::size_t now = std::min(into.size(), first.bytes.size());
  const bool is_cut = now < first.bytes.size();
  const std::size_t whole = first.bytes.size();
  into.fill(first.bytes.data(), now);
  tell_no_more(call, &first.from, is_cut ? MSG_TRUNC : 0);
  const bool wants_whole = (message_flags_of(call) & MSG_TRUNC) != 0;
  if (!peeks(call)) socket.in.pop_front();
  system.changed(socket);
  if (!socket.is_full()) socket.let_senders_go_on(system);
  return Answer::done(static_cast<std::int64_t>(wants_whole ? whole : now));
}

namespace {

/// The address of the receiver; empty if none is given.
Name receiver_of(const Call& call) {
  const Opcode opcode = opcode_of(call);
  if (opcode == Opcode::sendmsg || opcode == Opcode::sendmsg_zc) {
    const auto& message = *pointer_to<const msghdr>(call.sqe.addr);
    if (message.msg_name == nullptr) return {};
    return {static_cast<const sockaddr*>(message.msg_name), message.msg_namelen};
  }
  const bool names_one = (opcode == Opcode::send || opcode == Opcode::send_zc) && call.sqe.off != 0;
  if (!names_one) return {};
  return {pointer_to<const sockaddr>(call.sqe.off), static_cast<socklen_t>(call.sqe.file_index & 0xffff)};
}

/// A datagram on its way: it travels in a socket of its own, which nobody has.
struct Parcel final : Object {
  Parcel() noexcept : Object(Kind::ring) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override { return 0; }
  DatagramSocket::Datagram datagram;
  Name to;
  DatagramSocket asker;
  std::weak_ptr<DatagramSocket> sender;  ///< if it is connected: it is told when nobody is there
};

void put_in(System& system, DatagramSocket& receiver, const DatagramSocket::Datagram& datagram) {
  receiver.in.push_back(datagram);
  system.note(Happening::Kind::arrives, 0, receiver.number, static_cast<std::int32_t>(datagram.bytes.size()));
  system.changed(receiver);
}

void parcel_arrives(System& system, System::Plan& plan) {
  auto& parcel = static_cast<Parcel&>(*plan.object);
  auto* const receiver = static_cast<DatagramSocket*>(system.find_name(parcel.asker, parcel.to));
  if (receiver != nullptr && !receiver->is_full() && receiver->accepts_from(parcel.datagram.from))
    put_in(system, *receiver, parcel.datagram);
  const std::shared_ptr<DatagramSocket> sender = parcel.sender.lock();
  if (receiver != nullptr || sender == nullptr || sender->is_closed) return;
  sender->error = ECONNREFUSED;
  system.changed(*sender);
}

void post(System& system, const std::shared_ptr<Parcel>& parcel) {
  const bool is_late = system.strikes(Fault::datagram_late);
  const std::int64_t delay =
      is_late ? static_cast<std::int64_t>(system.draw(Fault::datagram_late, second)) : 10 * microsecond;
  system.plan(delay, {.happens = parcel_arrives, .object = parcel});
}

DatagramSocket::Datagram datagram_of(const DatagramSocket& socket, const Buffers& from) {
  DatagramSocket::Datagram datagram;
  datagram.from = socket.local.size > 0 ? socket.local : Name::local(socket.family);
  datagram.bytes.resize(from.size());
  from.take(datagram.bytes.data(), from.size());
  return datagram;
}

// Between Unix sockets nothing is lost: it is there at once, or the sender waits.
Answer send_to_unix(System& system, DatagramSocket& socket, Call& call, const Name& to) {
  const Buffers from(call);
  const std::shared_ptr<DatagramSocket> peer = socket.peer.lock();
  auto* const receiver =
      to.size == 0 ? peer.get() : static_cast<DatagramSocket*>(system.find_name(socket, to));
  if (const int error = to.size == 0 ? 0 : system.check_path(socket, to); error < 0)
    return Answer::done(error);
  if (receiver == nullptr || receiver->is_closed) {
    if (to.size == 0) socket.lose_peer();
    return Answer::done(-ECONNREFUSED);
  }
  if (receiver->is_shut_reading) return Answer::done(-EPIPE);
  const DatagramSocket::Datagram datagram = datagram_of(socket, from);
  if (!receiver->accepts_from(datagram.from)) return Answer::done(-EPERM);
  if (receiver->is_full()) {
    socket.waits_for_room = true;
    receiver->waiting.push_back(socket.weak_from_this());
    return nothing_now(socket, call, POLLOUT);
  }
  put_in(system, *receiver, datagram);
  return Answer::done(static_cast<std::int64_t>(from.size()));
}

}  // namespace

Answer send_datagram(System& system, DatagramSocket& socket, Call& call) {
  if (sends_more_than_bytes(call) || is_zero_copy_to_unix(socket, call)) return Answer::done(-EOPNOTSUPP);
  if (socket.error != 0) return Answer::done(-std::exchange(socket.error, 0));
  Name to = receiver_of(call);
  const bool is_to_its_peer = to.size == 0;
  if (to.size == 0) to = socket.peer_name;
  const bool has_receiver = to.size > 0 || socket.is_of_pair;
  if (!has_receiver && socket.family != AF_UNIX) return Answer::done(-EDESTADDRREQ);
  if (socket.is_shut_writing) return Answer::done(-EPIPE);
  if (!has_receiver) return Answer::done(-ENOTCONN);
  if (to.size > 0 && to.family() != socket.family) return Answer::done(-EAFNOSUPPORT);
  const Buffers from(call);
  if (from.size() > 65507 && socket.family != AF_UNIX) return Answer::done(-EMSGSIZE);
  if (socket.family == AF_UNIX) return send_to_unix(system, socket, call, to);
  if (!socket.is_bound) (void)system.bind(socket, Name::local(socket.family));
  const auto parcel = std::make_shared<Parcel>();
  parcel->to = to;
  parcel->datagram = datagram_of(socket, from);
  if (is_to_its_peer) parcel->sender = socket.weak_from_this();
  if (!system.strikes(Fault::datagram_lost)) post(system, parcel);
  if (system.strikes(Fault::datagram_doubled)) post(system, parcel);
  return Answer::done(static_cast<std::int64_t>(from.size()));
}

// ---- commands of sockets ----

Answer command(System& system, Object& object, Call& call) {
  if (object.kind != Object::Kind::stream && object.kind != Object::Kind::datagram)
    return Answer::done(-EOPNOTSUPP);
  const auto level = static_cast<int>(static_cast<std::uint32_t>(call.sqe.addr));
  const auto name = static_cast<int>(static_cast<std::uint32_t>(call.sqe.addr >> 32));
  socklen_t length = call.sqe.file_index;
  switch (call.sqe.off & 0xffff'ffff) {
    case uapi::socket_getsockopt: {
      if (level != SOL_SOCKET) return Answer::done(-EOPNOTSUPP);
      const int failed =
          system.get_option(call.sqe.fd, level, name, pointer_to<void>(call.sqe.addr3), &length);
      return Answer::done(failed != 0 ? failed : static_cast<std::int64_t>(length));
    }
    case uapi::socket_setsockopt:
      return Answer::done(
          system.set_option(call.sqe.fd, level, name, pointer_to<const void>(call.sqe.addr3), length));
    case uapi::socket_siocinq:
      if (object.kind != Object::Kind::stream || static_cast<Socket&>(object).family == AF_UNIX)
        return Answer::done(-EOPNOTSUPP);
      return Answer::done(static_cast<std::int64_t>(static_cast<StreamSocket&>(object).in.arrived()));
    default:
      return Answer::done(-EOPNOTSUPP);
  }
}

}  // namespace calls
}  // namespace corering::sim
