/// outside.cpp — descriptors and files of the operating system for scripts.
#include "conformance/outside.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>

namespace corering::conformance {
namespace {

sockaddr_in any_port() {
  return {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

const sockaddr* as_address(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

sockaddr_in Outside::bind_somewhere(int fd) const {
  const sockaddr_in address = any_port();
  if (os::bind(fd, as_address(address), sizeof address) != 0) std::abort();
  return address_of(fd);
}

sockaddr_in Outside::address_of(int fd) const {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(os::local_name(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return address;
}

int Outside::keep(int fd) {
  EXPECT_GE(fd, 0) << "there should be a descriptor";
  fds_.emplace_back(fd);
  return fd;
}

void Outside::close(int fd) {
  machine_.settle();
  std::erase_if(fds_, [fd](const Fd& kept) { return kept.get() == fd; });
  machine_.settle();
}

int Outside::let_go(int fd) {
  for (Fd& kept : fds_) {
    if (kept.get() == fd) (void)kept.release();
  }
  return fd;
}

Pair Outside::socket_pair(int type) {
  std::array<int, 2> fds{};
  if (os::socket_pair(type, fds.data()) != 0) std::abort();
  return {keep(fds[0]), keep(fds[1])};
}

Pair Outside::tcp_pair() {
  const TcpListener listener = tcp_listener();
  const int theirs = connected_to(listener.address);
  return {keep(machine_.accept(listener.fd)), theirs};
}

Pipe Outside::pipe() {
  std::array<int, 2> fds{};
  if (os::pipe(fds.data()) != 0) std::abort();
  return {keep(fds[0]), keep(fds[1])};
}

int Outside::eventfd() { return keep(machine_.eventfd()); }

int Outside::tcp_socket() { return keep(os::socket(AF_INET, SOCK_STREAM)); }

int Outside::udp_socket() { return keep(os::socket(AF_INET, SOCK_DGRAM)); }

Pair Outside::udp_pair() {
  const int theirs = udp_socket();
  const sockaddr_in address = bind_somewhere(theirs);
  const int ours = udp_socket();
  EXPECT_EQ(machine_.connect(ours, as_address(address), sizeof address), 0);
  return {ours, theirs};
}

TcpListener Outside::tcp_listener(int backlog) {
  const int fd = tcp_socket();
  const sockaddr_in address = bind_somewhere(fd);
  if (os::listen(fd, backlog) != 0) std::abort();
  return {fd, address};
}

// The socket stays bound and never listens, so nobody else can listen there.
sockaddr_in Outside::closed_address() { return bind_somewhere(tcp_socket()); }

int Outside::connected_to(const sockaddr_in& address) {
  const int fd = tcp_socket();
  if (machine_.connect(fd, as_address(address), sizeof address) != 0) std::abort();
  return fd;
}

int Outside::file(std::string_view content) {
  const char* const name = path("file-" + std::to_string(++files_));
  const int fd = keep(machine_.open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC));
  if (machine_.write_at_begin(fd, content) != static_cast<int>(content.size())) std::abort();
  return fd;
}

const char* Outside::path(std::string_view name) {
  if (directory_.empty()) directory_ = machine_.new_directory();
  return paths_.emplace_back(directory_ + std::string(name)).c_str();
}

std::string& Outside::room(std::size_t size) { return rooms_.emplace_back(size, '.'); }

void Outside::write(int fd, std::string_view text) const {
  EXPECT_EQ(machine_.write(fd, text), static_cast<int>(text.size())) << "the other side could not write";
}

void Outside::reset(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (os::set_option(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) std::abort();
  close(fd);
}

void Outside::fill(int fd) const {
  const std::string some(4096, 'f');
  while (machine_.send_now(fd, some) > 0) continue;
}

void Outside::drain(int fd) const {
  std::string some(65536, '.');
  while (machine_.receive_now(fd, some) > 0) continue;
}

std::string Outside::read(int fd, std::size_t size) const {
  std::string text(size, '.');
  const int got = machine_.read(fd, text);
  EXPECT_GE(got, 0) << "the other side could not read: " << std::strerror(-got);
  text.resize(static_cast<std::size_t>(std::max(got, 0)));
  return text;
}

}  // namespace corering::conformance
