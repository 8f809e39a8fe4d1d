/// in_epoll.cpp — an echo server as a guest in an epoll loop, which also reads standard input: each line
/// there is answered with what the server has done so far, and the end of the input stops it.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <corering/corering.hpp>

#include "counting_echo.hpp"

using namespace corering;

int fail(const char* what, const std::error_code& error) {
  return std::fprintf(stderr, "in_epoll: %s: %s\n", what, error.message().c_str()), 1;
}
std::error_code last_error() { return {errno, std::system_category()}; }

bool watch(const Fd& loop, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  return ::epoll_ctl(loop.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

/// Reads what is there. Returns false at the end.
bool answer_lines(long turns) {
  std::array<char, 4096> text;
  const ssize_t length = ::read(STDIN_FILENO, text.data(), text.size());
  if (length <= 0) return false;
  for (const char c : std::span(text).first(static_cast<std::size_t>(length))) {
    if (c == '\n') std::printf("%zu bytes echoed in %ld turns\n", echoed, turns);
  }
  return std::fflush(stdout) == 0;
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0) return std::fputs("usage: in_epoll PORT (1 to 65535)\n", stderr), 2;
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener) return fail("cannot listen", listener.error());
  Worker worker;
  const Result<int> guest = worker.descriptor();
  if (!guest) return fail("the worker cannot be set up", guest.error());
  worker.spawn(serve(std::move(*listener))).value().detach();

  const Fd loop(::epoll_create1(EPOLL_CLOEXEC));
  if (!watch(loop, *guest)) return fail("cannot watch the worker", last_error());
  if (!watch(loop, STDIN_FILENO))
    return fail("standard input is neither a terminal nor a pipe", last_error());
  for (long turns = 0;;) {
    epoll_event event{};
    const int count = ::epoll_wait(loop.get(), &event, 1, -1);
    if (count < 0 && errno != EINTR) return fail("epoll_wait", last_error());
    if (count < 1) continue;
    if (event.data.fd == *guest) {
      ++turns;
      const Result<bool> goes_on = worker.turn();
      if (!goes_on) return fail("the worker", goes_on.error());
      if (!*goes_on) return 0;  // it has been stopped, and has ended
    } else if (!answer_lines(turns)) {
      ::epoll_ctl(loop.get(), EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
      worker.request_stop();
    }
  }
}
