/// echo_server.cpp — starts a server as a separate process, puts load on it, and reads its CPU time.
#include "echo_server.hpp"

#include <cerrno>
#include <stdexcept>
#include <sys/resource.h>
#include <system_error>

#include "processors.hpp"

namespace bench {
namespace {

/// Puts this thread on the last processor, and back on the first one at its end.
struct WithTheClients {
  WithTheClients() { pin_to(last_processor()); }
  WithTheClients(WithTheClients&&) = delete;
  ~WithTheClients() { pin_to(first_processor()); }
};

std::vector<std::string> command(const ServerKind& kind) {
  std::vector<std::string> arguments = kind.arguments;
  arguments.front() = beside(arguments.front());
  return arguments;
}

}  // namespace

const std::vector<ServerKind>& server_kinds() {
  static const std::vector<ServerKind> kinds = {
      {.subject = "raw", .arguments = {"echo_raw"}},
      {.subject = "raw_spin", .arguments = {"echo_raw", "spin"}},
      {.subject = "raw_multishot", .arguments = {"echo_raw_multishot"}},
      {.subject = "corering", .arguments = {"echo_corering"}},
      {.subject = "corering_watching", .arguments = {"echo_corering", "watching"}},
      {.subject = "corering_multishot", .arguments = {"echo_corering", "multishot"}},
      {.subject = "corering_direct", .arguments = {"echo_corering", "direct"}},
      {.subject = "corering_emulated", .arguments = {"echo_corering", "emulated"}},
      {.subject = "epoll", .arguments = {"echo_epoll"}},
      {.subject = "asio", .arguments = {"echo_asio"}},
      {.subject = "asio_uring", .arguments = {"echo_asio_uring"}},
      {.subject = "libuv", .arguments = {"echo_uv"}},
  };
  return kinds;
}

EchoServer::EchoServer(const ServerKind& kind)
    : process_(command(kind)), port_(static_cast<std::uint16_t>(number_in(process_.read_line()))) {}

Load::Load(const EchoServer& server, unsigned connections, unsigned at_once) : server_(server) {
  const WithTheClients here;
  unsigned opened = 0;
  const int error = load_open(&load_, server.port(), connections, at_once, &opened);
  if (error < 0) {
    throw std::system_error(-error, std::system_category(), "connection " + std::to_string(opened + 1));
  }
  served_ = connections;
}

load_result Load::run(const LoadTimes& times) {
  const WithTheClients here;
  load_result result{};
  const int error = load_run(load_, times.warm_up, times.measured, times.gap, times.interval,
                             server_.process().processor_clock(), &result, &served_);
  if (error < 0) throw std::system_error(-error, std::system_category(), "the load");
  if (result.requests == 0) throw std::runtime_error("the server answered nothing while it was measured");
  return result;
}

void need_files_for(unsigned connections) {
  const rlim_t needed = connections + rlim_t{64};  // a program has other files open, too
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    throw std::system_error(errno, std::system_category(), "getrlimit");
  }
  if (limit.rlim_cur >= needed) return;
  if (limit.rlim_max < needed) {
    throw std::runtime_error("needs " + std::to_string(needed) + " open files, but the hard limit is " +
                             std::to_string(limit.rlim_max) + " (ulimit -Hn)");
  }
  limit.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    throw std::system_error(errno, std::system_category(), "setrlimit");
  }
}

}  // namespace bench
