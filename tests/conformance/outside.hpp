/// outside.hpp — what scripts find outside of the ring: descriptors, files, addresses, memory.
///
/// Scripts get all of this here, because the simulated kernel has an outside of its own (machine.hpp).
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

#include <corering/base/fd.hpp>

#include "conformance/machine.hpp"
#include "support/story.hpp"

namespace corering::conformance {

struct Pair {
  int ours;    ///< the end that the script's requests use
  int theirs;  ///< the end that the script plays with
};

struct Pipe {
  int reader;
  int writer;
};

struct TcpListener {
  int fd;
  sockaddr_in address;
};

/// Whatever it makes lives as long as the script.
class Outside {
 public:
  explicit Outside(Machine& machine) : machine_(machine) {}

  // ---- descriptors ----
  [[nodiscard]] Pair socket_pair(int type = SOCK_STREAM);  ///< Unix sockets
  [[nodiscard]] Pair tcp_pair();
  [[nodiscard]] Pipe pipe();
  [[nodiscard]] int eventfd();
  [[nodiscard]] TcpListener tcp_listener(int backlog = 16);
  [[nodiscard]] int tcp_socket();
  [[nodiscard]] int udp_socket();
  [[nodiscard]] Pair udp_pair();  ///< ours is connected to theirs
  /// An address of 127.0.0.1 where nobody listens.
  [[nodiscard]] sockaddr_in closed_address();
  /// Binds the socket to a free port of 127.0.0.1 and returns the address.
  [[nodiscard]] sockaddr_in bind_somewhere(int fd) const;
  /// A blocking connect that has to succeed.
  int connected_to(const sockaddr_in& address);
  /// Keeps a descriptor that a request made.
  int keep(int fd);
  void close(int fd);
  /// A request closes it. Returns `fd`.
  int let_go(int fd);
  [[nodiscard]] bool is_open(int fd) const { return machine_.is_open(fd); }
  [[nodiscard]] bool is_closed_on_exec(int fd) const { return machine_.is_closed_on_exec(fd); }
  /// Returns the address of a socket, as getsockname(2) tells it.
  [[nodiscard]] sockaddr_in address_of(int fd) const;

  // ---- files ----
  [[nodiscard]] int file(std::string_view content);       ///< a new one, open for reading and writing
  [[nodiscard]] const char* path(std::string_view name);  ///< in a directory of this script
  [[nodiscard]] std::string content_of(const char* path) const { return machine_.content_of(path); }
  [[nodiscard]] bool exists(const char* path) const { return machine_.exists(path); }
  [[nodiscard]] std::size_t size_of_file(int fd) const { return machine_.size_of_file(fd); }

  // ---- memory ----
  [[nodiscard]] std::string& room(std::size_t size);  ///< filled with dots
  template <class T>
  [[nodiscard]] T& object(T value = {}) {
    auto kept = std::make_shared<T>(std::move(value));
    objects_.push_back(kept);
    return *kept;
  }

  // ---- what the other side does ----
  void write(int fd, std::string_view text) const;                 ///< all of it
  [[nodiscard]] std::string read(int fd, std::size_t size) const;  ///< what is there, at most `size`

  void reset(int fd);        ///< ends a connection with RST and closes
  void fill(int fd) const;   ///< until there is no more room
  void drain(int fd) const;  ///< until there is nothing to read

 private:
  Machine& machine_;
  std::string directory_;  ///< made when it is needed
  std::vector<Fd> fds_;
  std::deque<std::string> rooms_;
  std::deque<std::string> paths_;
  std::vector<std::shared_ptr<void>> objects_;
  int files_ = 0;
};

}  // namespace corering::conformance
