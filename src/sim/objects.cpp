/// objects.cpp — what the objects show, and what their last close means for the other side.
#include "sim/objects.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>
#include <utility>

#include <corering/base/assert.hpp>

#include "base/kernel_memory.hpp"
#include "sim/system.hpp"

namespace corering::sim {

// ---- pipes ----

std::uint32_t PipeEnd::shown() const noexcept {
  if (!writes)
    return (bytes.arrived() > 0 ? POLLIN : 0U) | (other == nullptr || other->is_closed ? POLLHUP : 0U);
  if (other == nullptr) return POLLERR | POLLOUT;
  return (other->bytes.size() < capacity ? POLLOUT : 0U) | (other->is_closed ? POLLERR : 0U);
}

void PipeEnd::notice_change(System& system) {
  if (const std::shared_ptr<ChildProcess> its_child = child.lock(); its_child != nullptr)
    system.machine().go_on_soon(*its_child);
}

void PipeEnd::last_close(System& system) noexcept {
  CORERING_ASSERT(!is_closed, "the last close comes once");
  is_closed = true;
  const std::shared_ptr<PipeEnd> left = std::move(other);
  if (left != nullptr) system.changed(*left);
}

// ---- names ----

Name::Name(const void* address, socklen_t length)
    : size(std::min(length, static_cast<socklen_t>(sizeof storage))) {
  std::memcpy(&storage, address, size);
}

void Name::copy_to(void* into, socklen_t* length) const noexcept {
  if (into == nullptr || length == nullptr) return;
  const kernel_memory::Lifted lifted(into, *length);
  std::memcpy(into, &storage, std::min(*length, size));
  *length = size;
}

Name Name::local(int family) noexcept {
  Name name;
  name.storage.ss_family = static_cast<sa_family_t>(family);
  name.size = family == AF_INET    ? sizeof(sockaddr_in)
              : family == AF_INET6 ? sizeof(sockaddr_in6)
                                   : sizeof(sa_family_t);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in&>(name.storage).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (family == AF_INET6) reinterpret_cast<sockaddr_in6&>(name.storage).sin6_addr = in6addr_loopback;
  return name;
}

// The port is at the same place for both families of the internet.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

std::uint16_t Name::port() const noexcept {
  return family() == AF_UNIX ? 0 : ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}
void Name::set_port(std::uint16_t port) noexcept {
  reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

bool Name::is_path() const noexcept {
  return family() == AF_UNIX && size > offsetof(sockaddr_un, sun_path) &&
         reinterpret_cast<const sockaddr_un&>(storage).sun_path[0] != '\0';
}

// The machine has one address, so the port says it all.
std::string Name::key() const {
  if (family() != AF_UNIX) return "port " + std::to_string(port());
  return "path " + path();
}

std::string Name::path() const {
  const char* const path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
  const std::size_t most = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
  return {path, most > 0 && path[0] == '\0' ? most : strnlen(path, most)};
}

// ---- sockets ----

std::uint32_t StreamSocket::shown() const noexcept {
  if (state == State::listening) return line.empty() ? 0 : POLLIN;
  if (state == State::connecting) return 0;
  if (state == State::fresh) return POLLHUP | (is_shut_reading ? POLLIN | POLLRDHUP : 0U) | POLLOUT;
  std::uint32_t events = 0;
  if (error != 0) events |= POLLERR;
  if (is_reset) events |= POLLIN | POLLOUT | POLLHUP | POLLRDHUP;
  if (in.arrived() > 0) events |= POLLIN;
  if (ends || is_shut_reading) events |= POLLIN | POLLRDHUP;
  if ((is_shut_writing && family != AF_UNIX) || peer == nullptr || peer->room() > 0) events |= POLLOUT;
  if ((ends || is_shut_reading) && is_shut_writing) events |= POLLHUP;
  return events;
}

void StreamSocket::last_close(System& system) noexcept {
  CORERING_ASSERT(!is_closed, "the last close comes once");
  is_closed = true;
  system.unbind(*this);
  forget_line(system);
  const bool resets = vanishes && family != AF_UNIX;
  system.end_connection(*this, resets || in.size() > 0 ? Ending::reset : Ending::close);
  peer = nullptr;
}

void StreamSocket::forget_line(System& system) noexcept {
  for (const auto& waiting : line) {
    waiting->is_closed = true;
    system.end_connection(*waiting, Ending::reset);
    waiting->peer = nullptr;
  }
  line.clear();
  for (const auto& client : std::exchange(wait_for_line, {})) {
    client->state = State::failed;
    client->error = ECONNREFUSED;
    system.changed(*client);
  }
}

void DatagramSocket::last_close(System& system) noexcept {
  is_closed = true;
  system.unbind(*this);
  let_senders_go_on(system);
}

void DatagramSocket::let_senders_go_on(System& system) {
  for (const std::weak_ptr<DatagramSocket>& one : std::exchange(waiting, {})) {
    const std::shared_ptr<DatagramSocket> sender = one.lock();
    if (sender == nullptr) continue;
    sender->waits_for_room = false;
    system.changed(*sender);
  }
}

}  // namespace corering::sim
