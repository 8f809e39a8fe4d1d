/// idle_peer.cpp — the process that holds the idle connections: it is plain code, without the library.
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "soak/loads.hpp"

namespace corering::soak {
namespace {

struct Question {
  char what = 0;
  std::uint64_t number = 0;
  std::uint64_t port = 0;
};

int connected_to(std::uint64_t port, std::uint64_t number) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}};
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(number % 32));
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  std::perror("soak: an idle connection");
  if (fd >= 0) ::close(fd);
  return -1;
}

bool echoes(int fd) {
  char byte = 'x';
  return ::send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(fd, &byte, 1, 0) == 1 && byte == 'x';
}

std::uint64_t answer(const Question& question, std::vector<int>& open) {
  std::uint64_t done = 0;
  switch (question.what) {
    case 'o':
      for (; open.size() < question.number; open.push_back(connected_to(question.port, open.size()))) {
        if (!open.empty() && open.back() < 0) return open.size() - 1;
      }
      return open.size();
    case 't':
      for (const int fd : open) done += echoes(fd) ? 1 : 0;
      return done;
    default:
      for (const int fd : open) ::close(fd);
      open.clear();
      return 0;
  }
}

[[noreturn]] void live(int line) {
  std::vector<int> open;
  for (Question question; ::read(line, &question, sizeof question) == sizeof question;) {
    const std::uint64_t done = answer(question, open);
    if (::write(line, &done, sizeof done) != sizeof done) break;
  }
  ::_exit(0);
}

}  // namespace

IdlePeer::IdlePeer() {
  int ends[2] = {-1, -1};  // NOLINT(*-avoid-c-arrays)
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  child_ = ::fork();
  if (child_ == 0) {
    ::close(ends[0]);
    live(ends[1]);
  }
  ::close(ends[1]);
  line_ = Fd(ends[0]);
}

IdlePeer::~IdlePeer() {
  line_.reset();  // it ends then
  ::waitpid(child_, nullptr, 0);
}

std::uint64_t IdlePeer::ask(char what, std::uint64_t number, std::uint64_t port) {
  const Question question{.what = what, .number = number, .port = port};
  std::uint64_t done = 0;
  if (::write(line_.get(), &question, sizeof question) != sizeof question ||
      ::read(line_.get(), &done, sizeof done) != sizeof done)
    std::abort();
  return done;
}

std::uint64_t IdlePeer::open(const Server& server, std::uint64_t count) {
  return ask('o', count, server.address(0).port());
}
std::uint64_t IdlePeer::talk() { return ask('t', 0, 0); }
void IdlePeer::close_all() { (void)ask('c', 0, 0); }

}  // namespace corering::soak
