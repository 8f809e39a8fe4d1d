/* server.h — what every echo server does in the same way: it listens, says where, and ends.
 *
 * A server takes connections on 127.0.0.1, prints its port as the first line of its output, sends back what
 * it receives, and ends with 0 when its standard input ends. It has one thread, one buffer of BUFFER_SIZE
 * bytes per connection unless it says otherwise, and sets TCP_NODELAY. It closes a connection whose peer has
 * gone. Every other failure ends the server with a message. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 2048, BACKLOG = 4096 };

/* `error` is an errno. */
__attribute__((noreturn)) static inline void give_up(const char* what, int error) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
  exit(1);
}

/* Connections inherit TCP_NODELAY from the listener. `flags` may be SOCK_NONBLOCK. */
static inline int listen_on_loopback(int flags) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  const int yes = 1;
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
      bind(fd, (struct sockaddr*)&address, length) != 0 || listen(fd, BACKLOG) != 0 ||
      getsockname(fd, (struct sockaddr*)&address, &length) != 0) {
    give_up("listening", errno);
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

/* Says whether a connection that fails with `error` was given up by its peer. */
static inline int peer_has_gone(int error) { return error == ECONNRESET || error == EPIPE; }
