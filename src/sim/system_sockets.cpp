/// system_sockets.cpp — what the system does with sockets, without waiting: names, options, connections.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>

#include <corering/base/assert.hpp>

#include "sim/file_system.hpp"
#include "sim/system.hpp"

namespace corering::sim {
namespace {

template <class T>
std::shared_ptr<T> as(const std::shared_ptr<Object>* object, Object::Kind kind) noexcept {
  if (object == nullptr || (*object)->kind != kind) return nullptr;
  return std::static_pointer_cast<T>(*object);
}

Socket* socket_of(const std::shared_ptr<Object>* object) noexcept {
  if (object == nullptr) return nullptr;
  const Object::Kind kind = (*object)->kind;
  const bool is_socket = kind == Object::Kind::stream || kind == Object::Kind::datagram;
  return is_socket ? static_cast<Socket*>(object->get()) : nullptr;
}

int error_of(const std::shared_ptr<Object>* object) noexcept {
  return object == nullptr ? -EBADF : -ENOTSOCK;
}

bool is_internet(int family) noexcept { return family == AF_INET || family == AF_INET6; }

}  // namespace

// ---- names ----

std::shared_ptr<Inode> System::socket_file(const Name& name) const { return files_.follow(name.path()); }

// Whoever has moved the file of a socket moves its name along.
std::string System::key_of(const Socket& socket, const Name& name) const {
  const std::string kind = socket.kind == Object::Kind::stream ? "stream " : "datagram ";
  if (!name.is_path()) return kind + name.key();
  const std::shared_ptr<Inode> node = socket.node != nullptr ? socket.node : socket_file(name);
  return kind + "file " + std::to_string(node == nullptr ? 0 : node->number);
}

int System::check_path(const Socket& asker, const Name& name) const {
  if (!name.is_path()) return 0;
  Path whole;
  std::shared_ptr<Inode> node;
  if (const int error = files_.resolve("/", name.path(), whole); error < 0) return error;
  if (const int error = files_.look_up(whole, node); error < 0) return error;
  if (!node->is_socket()) return -ECONNREFUSED;
  const std::string number = " file " + std::to_string(node->number);
  const char* const other_kind = asker.kind == Object::Kind::stream ? "datagram" : "stream";
  return names_.contains(other_kind + number) ? -EPROTOTYPE : 0;
}

int System::make_socket_file(Socket& socket, const Name& name) {
  count_for_power_cut();
  if (files_.is_off()) return -EIO;
  Path whole;
  if (const int error = files_.resolve("/", name.path(), whole); error < 0) return error;
  const int error = files_.make(whole, 0777, S_IFSOCK);
  if (error == 0) socket.node = files_.find(whole.whole);
  return error == -EEXIST ? -EADDRINUSE : error;
}

void System::remove_stale_socket(const sockaddr* address, socklen_t length) {
  const Name name(address, length);
  if (!name.is_path()) return;
  const std::shared_ptr<Inode> node = socket_file(name);
  if (node == nullptr || !node->is_socket()) return;
  const std::string number = " file " + std::to_string(node->number);
  if (names_.contains("stream" + number) || names_.contains("datagram" + number)) return;
  count_for_power_cut();
  if (!files_.is_off()) (void)files_.remove({.whole = files_.path_of(*node)}, false);
}

// The connections that a listener has accepted keep its port, unless both sides have said SO_REUSEADDR.
bool System::has_connections_at(const Socket& socket, const Name& name) const noexcept {
  if (socket.kind != Object::Kind::stream || !is_internet(socket.family)) return false;
  return std::ranges::any_of(table_, [&](const std::shared_ptr<Object>& object) {
    if (object == nullptr || object->kind != Object::Kind::stream) return false;
    const auto& other = static_cast<const StreamSocket&>(*object);
    return !other.is_bound && other.is_connected() && !other.is_reset && is_internet(other.family) &&
           other.local.port() == name.port() && !(socket.reuses_address && other.reuses_address);
  });
}

int System::bind(Socket& socket, const Name& wanted) {
  if (socket.is_bound) return -EINVAL;
  if (wanted.family() != socket.family) return -EAFNOSUPPORT;
  Name name = wanted;
  while (is_internet(socket.family) && name.port() == 0) {
    Name candidate = wanted;
    candidate.set_port(next_port_ = next_port_ == 60999 ? 32768 : next_port_ + 1);
    if (!names_.contains(key_of(socket, candidate))) name = candidate;
  }
  if (const int made = name.is_path() ? make_socket_file(socket, name) : 0; made < 0) return made;
  const std::string key = key_of(socket, name);
  const auto shares = [&](const Socket* other) { return socket.reuses_port && other->reuses_port; };
  if (has_connections_at(socket, name)) return -EADDRINUSE;
  if (const auto there = names_.find(key);
      there != names_.end() && !std::ranges::all_of(there->second, shares))
    return -EADDRINUSE;
  names_[key].push_back(&socket);
  socket.local = name;
  socket.is_bound = true;
  return 0;
}

void System::unbind(Socket& socket) noexcept {
  if (!socket.is_bound) return;
  const auto found = names_.find(key_of(socket, socket.local));
  CORERING_ASSERT(found != names_.end(), "what is bound has its name");
  std::erase(found->second, &socket);
  if (found->second.empty()) names_.erase(found);
  socket.is_bound = false;
  socket.node = nullptr;
}

Socket* System::find_name(const Socket& asker, const Name& name) noexcept {
  const std::string kind = asker.kind == Object::Kind::stream ? "stream " : "datagram ";
  const std::shared_ptr<Inode> node = name.is_path() ? socket_file(name) : nullptr;
  if (name.is_path() && node == nullptr) return nullptr;
  const auto found =
      names_.find(kind + (node == nullptr ? name.key() : "file " + std::to_string(node->number)));
  if (found == names_.end()) return nullptr;
  return found->second[found->second.size() == 1 ? 0 : random_.below(found->second.size())];
}

int System::bind(int fd, const sockaddr* name, socklen_t length) noexcept {
  Socket* const socket = socket_of(find(fd));
  return socket == nullptr ? error_of(find(fd)) : bind(*socket, Name(name, length));
}

int System::local_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  const Socket* const socket = socket_of(find(fd));
  if (socket == nullptr) return error_of(find(fd));
  Name bare = Name::local(socket->family);
  (socket->local.size > 0 ? socket->local : bare).copy_to(name, length);
  return 0;
}

int System::peer_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  const Socket* const socket = socket_of(find(fd));
  if (socket == nullptr) return error_of(find(fd));
  if (socket->peer_name.size == 0) return -ENOTCONN;
  socket->peer_name.copy_to(name, length);
  return 0;
}

// ---- making ----

int System::socket(int family, int type) noexcept {
  if ((type & ~(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) return -EINVAL;
  if (!is_internet(family) && family != AF_UNIX) return -EAFNOSUPPORT;
  if (strikes(Fault::emfile)) return -EMFILE;
  const int kind = type & 0xf;
  if (kind != SOCK_STREAM && kind != SOCK_DGRAM) return -EPROTONOSUPPORT;
  std::shared_ptr<Socket> made;
  if (kind == SOCK_STREAM) made = std::make_shared<StreamSocket>();
  if (kind == SOCK_DGRAM) made = std::make_shared<DatagramSocket>();
  made->family = family;
  made->is_nonblocking = (type & SOCK_NONBLOCK) != 0;
  return open(std::move(made));
}

int System::socket_pair(int type, int* ends) noexcept {
  if ((type & 0xf) == SOCK_DGRAM) return datagram_pair(ends);
  if ((type & 0xf) != SOCK_STREAM) return -EOPNOTSUPP;
  const auto one = std::make_shared<StreamSocket>(), other = std::make_shared<StreamSocket>();
  one->family = other->family = AF_UNIX;
  one->state = other->state = StreamSocket::State::connected;
  one->peer_name = other->peer_name = Name::local(AF_UNIX);
  one->peer = other;
  other->peer = one;
  ends[0] = open(one);
  ends[1] = open(other);
  return 0;
}

int System::datagram_pair(int* ends) {
  const auto one = std::make_shared<DatagramSocket>(), other = std::make_shared<DatagramSocket>();
  one->family = other->family = AF_UNIX;
  one->is_of_pair = other->is_of_pair = true;
  one->peer = other;
  other->peer = one;
  ends[0] = open(one);
  ends[1] = open(other);
  return 0;
}

std::pair<std::shared_ptr<PipeEnd>, std::shared_ptr<PipeEnd>> System::make_pipe() {
  const auto reader = std::make_shared<PipeEnd>(), writer = std::make_shared<PipeEnd>();
  writer->writes = true;
  reader->other = writer;
  writer->other = reader;
  return {reader, writer};
}

int System::pipe(int* ends) noexcept {
  if (!may_open_) return -EMFILE;
  const auto [reader, writer] = make_pipe();
  ends[0] = open(reader);
  ends[1] = open(writer);
  return 0;
}

// ---- connections ----

int System::listen(int fd, int backlog) noexcept {
  const auto socket = as<StreamSocket>(find(fd), Object::Kind::stream);
  if (socket == nullptr) return socket_of(find(fd)) == nullptr ? error_of(find(fd)) : -EOPNOTSUPP;
  if (socket->state != StreamSocket::State::fresh && socket->state != StreamSocket::State::listening)
    return -EINVAL;
  if (!socket->is_bound && socket->family == AF_UNIX) return -EINVAL;
  if (const int bound = socket->is_bound ? 0 : bind(*socket, Name::local(socket->family)); bound < 0)
    return bound;
  CORERING_ASSERT(socket->is_bound, "who listens has a name");
  socket->state = StreamSocket::State::listening;
  socket->backlog = static_cast<std::size_t>(std::clamp(backlog, 1, 4096));
  return 0;
}

namespace {

constexpr std::int64_t microsecond = 1'000;
constexpr std::int64_t second = 1'000'000'000;
constexpr std::uint64_t most_attempts = 6;  // of a connection whose listener has a full line

StreamSocket& stream_of(const System::Plan& plan) noexcept {
  return static_cast<StreamSocket&>(*plan.object);
}

void fail_to_connect(System& system, StreamSocket& socket, int error) {
  socket.state = StreamSocket::State::failed;
  socket.error = error;
  system.changed(socket);
}

void accepted(System& system, StreamSocket& client, StreamSocket& listener,
              std::shared_ptr<StreamSocket> self) {
  const auto server = std::make_shared<StreamSocket>();
  CORERING_ASSERT(client.state == StreamSocket::State::connecting, "who is accepted has asked");
  server->family = listener.family;
  server->reuses_address = listener.reuses_address;
  server->state = client.state = StreamSocket::State::connected;
  server->local = client.peer_name;
  server->peer_name = client.local.size > 0 ? client.local : Name::local(client.family);
  server->window = client.window = 1024 << system.random().below(7);
  server->peer = std::move(self);
  client.peer = server;
  listener.line.push_back(server);
  system.changed(client);
  system.changed(listener);
}

// The handshake arrives at the listener, or at nobody.
void arrives_at_listener(System& system, System::Plan& plan) {
  StreamSocket& client = stream_of(plan);
  if (client.is_closed) return;
  auto* const listener = static_cast<StreamSocket*>(system.find_name(client, client.peer_name));
  if (listener == nullptr || listener->state != StreamSocket::State::listening ||
      system.strikes(Fault::refused))
    return fail_to_connect(system, client, ECONNREFUSED);
  if (listener->line.size() < listener->backlog)
    return accepted(system, client, *listener, std::static_pointer_cast<StreamSocket>(plan.object));
  if (client.family == AF_UNIX) {  // it waits for as long as it takes
    listener->wait_for_line.push_back(std::static_pointer_cast<StreamSocket>(plan.object));
    return;
  }
  if (++plan.number == most_attempts) return fail_to_connect(system, client, ETIMEDOUT);
  system.plan(second << plan.number,
              {.happens = arrives_at_listener, .object = plan.object, .number = plan.number});
}

bool has_full_line(const Socket* socket) noexcept {
  const auto* const listener = static_cast<const StreamSocket*>(socket);
  return listener != nullptr && listener->is_listening() && listener->line.size() >= listener->backlog;
}

}  // namespace

void System::let_connect(StreamSocket& listener) {
  while (!listener.wait_for_line.empty() && listener.line.size() < listener.backlog) {
    const std::shared_ptr<StreamSocket> client = std::move(listener.wait_for_line.front());
    listener.wait_for_line.pop_front();
    if (!client->is_closed) accepted(*this, *client, listener, client);
  }
}

int System::begin_connect(const std::shared_ptr<StreamSocket>& socket, const Name& name) {
  if (socket->state == StreamSocket::State::connected) return -EISCONN;
  if (socket->state == StreamSocket::State::connecting) return -EALREADY;
  if (socket->state == StreamSocket::State::listening) return -EINVAL;
  if (name.family() != socket->family) return -EAFNOSUPPORT;
  if (const int error = check_path(*socket, name); error < 0) return error;
  if (socket->family == AF_UNIX && socket->is_nonblocking && has_full_line(find_name(*socket, name)))
    return -EAGAIN;
  const bool needs_name = !socket->is_bound && is_internet(socket->family);
  if (const int bound = needs_name ? bind(*socket, Name::local(socket->family)) : 0; bound < 0) return bound;
  socket->state = StreamSocket::State::connecting;
  socket->peer_name = name;
  plan((10 + static_cast<std::int64_t>(random_.below(100))) * microsecond,
       {.happens = arrives_at_listener, .object = socket});
  return -EINPROGRESS;
}

int System::connect_datagram(DatagramSocket& socket, const Name& name) {
  if (const int error = check_path(socket, name); error < 0) return error;
  if (find_name(socket, name) == nullptr && socket.family == AF_UNIX) return -ECONNREFUSED;
  const bool needs_name = !socket.is_bound && is_internet(socket.family);
  if (const int bound = needs_name ? bind(socket, Name::local(socket.family)) : 0; bound < 0) return bound;
  socket.peer_name = name;
  socket.is_connected = true;
  return 0;
}

int System::connect(int fd, const sockaddr* name, socklen_t length) noexcept {
  if (const auto stream = as<StreamSocket>(find(fd), Object::Kind::stream); stream != nullptr)
    return begin_connect(stream, Name(name, length));
  const auto datagram = as<DatagramSocket>(find(fd), Object::Kind::datagram);
  return datagram == nullptr ? error_of(find(fd)) : connect_datagram(*datagram, Name(name, length));
}

namespace {

// Who is closed receives no more, which only a Unix socket is told at once.
void end_arrives(System& system, System::Plan& plan) {
  StreamSocket& socket = stream_of(plan);
  if (socket.is_reset && socket.family != AF_UNIX) return;
  socket.ends = true;
  if (socket.family == AF_UNIX && plan.number != 0) socket.is_shut_writing = true;
  system.note(Happening::Kind::arrives, 0, socket.number, 0);
  system.changed(socket);
}

void reset_arrives(System& system, System::Plan& plan) {
  StreamSocket& socket = stream_of(plan);
  if (socket.is_closed || socket.is_reset) return;
  socket.reset_by_peer();
  system.note(Happening::Kind::arrives, 0, socket.number, -ECONNRESET);
  system.changed(socket);
}

}  // namespace

int System::stop_listening(StreamSocket& socket) {
  socket.state = StreamSocket::State::fresh;
  socket.forget_line(*this);
  changed(socket);
  return 0;
}

void System::end_connection(StreamSocket& socket, Ending how) {
  const std::shared_ptr<StreamSocket> peer = socket.peer;
  if (peer == nullptr || peer->is_closed || (socket.is_shut_writing && how == Ending::shutdown)) return;
  CORERING_ASSERT(peer.get() != &socket, "a connection has two ends");
  socket.is_shut_writing = true;
  peer->arrives_at = std::max(peer->arrives_at, now_ + 20 * microsecond);
  plan(peer->arrives_at - now_, {.happens = how == Ending::reset ? reset_arrives : end_arrives,
                                 .object = peer,
                                 .number = how == Ending::close ? 1U : 0U});
}

// ---- options ----

namespace {

int value_of(Socket& socket, int level, int name) noexcept {
  auto* const stream = socket.kind == Object::Kind::stream ? static_cast<StreamSocket*>(&socket) : nullptr;
  if (level != SOL_SOCKET) return socket.options[{level, name}];
  switch (name) {
    case SO_TYPE:
      return stream != nullptr ? SOCK_STREAM : SOCK_DGRAM;
    case SO_DOMAIN:
      return socket.family;
    case SO_PROTOCOL:
      return socket.family == AF_UNIX ? 0 : stream != nullptr ? IPPROTO_TCP : IPPROTO_UDP;
    case SO_ACCEPTCONN:
      return stream != nullptr && stream->state == StreamSocket::State::listening ? 1 : 0;
    case SO_ERROR:
      return std::exchange(socket.error, 0);
    case SO_REUSEPORT:
      return socket.reuses_port ? 1 : 0;
    case SO_REUSEADDR:
      return socket.reuses_address ? 1 : 0;
    default:
      return socket.options[{level, name}];
  }
}

int set_value(Socket& socket, int name, int value) noexcept {
  if (name == SO_REUSEPORT) socket.reuses_port = value != 0;
  if (name == SO_REUSEADDR) socket.reuses_address = value != 0;
  if (name == SO_RCVBUF && socket.kind == Object::Kind::stream && value > 0)
    static_cast<StreamSocket&>(socket).window =
        static_cast<std::size_t>(2 * std::clamp(value, 1152, 1 << 21));
  return name == SO_TYPE || name == SO_ERROR || name == SO_DOMAIN ? -ENOPROTOOPT : 0;
}

}  // namespace

namespace {

/// No Linux has so many.
bool is_unknown(int level, int name) noexcept { return level == SOL_SOCKET && name > 255; }

}  // namespace

int System::set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  Socket* const socket = socket_of(find(fd));
  if (socket == nullptr) return error_of(find(fd));
  if (level == SOL_SOCKET && name == SO_LINGER) {
    linger set{};
    if (length < sizeof set) return -EINVAL;
    std::memcpy(&set, value, sizeof set);
    socket->vanishes = set.l_onoff != 0 && set.l_linger == 0;
    socket->options[{level, name}] = set.l_onoff != 0 ? set.l_linger : -1;
    return 0;
  }
  if (length < sizeof(int)) return -EINVAL;
  if (is_unknown(level, name)) return -ENOPROTOOPT;
  int number = 0;
  std::memcpy(&number, value, sizeof number);
  socket->options[{level, name}] = number;
  return level == SOL_SOCKET ? set_value(*socket, name, number) : 0;
}

int System::get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  Socket* const socket = socket_of(find(fd));
  if (socket == nullptr) return error_of(find(fd));
  if (level == SOL_SOCKET && name == SO_LINGER) {
    const auto set = socket->options.find({level, name});
    const bool is_on = set != socket->options.end() && set->second >= 0;
    const linger told{.l_onoff = is_on ? 1 : 0, .l_linger = is_on ? set->second : 0};
    *length = std::min<socklen_t>(*length, sizeof told);
    std::memcpy(value, &told, *length);
    return 0;
  }
  if (is_unknown(level, name)) return -ENOPROTOOPT;
  const int number = value_of(*socket, level, name);
  *length = std::min<socklen_t>(*length, sizeof number);
  std::memcpy(value, &number, *length);
  return 0;
}

}  // namespace corering::sim
