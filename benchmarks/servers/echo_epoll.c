/* echo_epoll.c — by hand on epoll: level-triggered, one recv and one send for each readiness. */
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "server.h"

struct connection {
  int fd;
  int length; /* received */
  int sent;
  char buffer[BUFFER_SIZE];
};

static int poller;

static void watch(int operation, struct connection* connection, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) != 0) give_up("epoll_ctl", errno);
}

static void close_it(struct connection* connection) {
  close(connection->fd);
  free(connection);
}

/* A failure ends the server, unless the peer has gone. Returns 0 when the call should be tried again. */
static int has_gone(int error) {
  if (error == EAGAIN) return 0;
  if (!peer_has_gone(error)) give_up("a connection", error);
  return 1;
}

static void send_rest(struct connection* connection, int was_full) {
  while (connection->sent < connection->length) {
    const ssize_t sent = send(connection->fd, connection->buffer + connection->sent,
                              (size_t)(connection->length - connection->sent), MSG_NOSIGNAL);
    if (sent < 0) {
      if (has_gone(errno)) {
        close_it(connection);
      } else if (!was_full) {
        watch(EPOLL_CTL_MOD, connection, EPOLLOUT);
      }
      return;
    }
    connection->sent += (int)sent;
  }
  connection->length = 0;
  if (was_full) watch(EPOLL_CTL_MOD, connection, EPOLLIN);
}

static void receive(struct connection* connection) {
  const ssize_t got = recv(connection->fd, connection->buffer, BUFFER_SIZE, 0);
  if (got == 0 || (got < 0 && has_gone(errno))) {
    close_it(connection);
  } else if (got > 0) {
    connection->length = (int)got;
    connection->sent = 0;
    send_rest(connection, 0);
  }
}

static void accept_all(int listener) {
  for (;;) {
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0) give_up("accepting", errno);
    struct connection* connection = malloc(sizeof *connection);
    if (connection == NULL) give_up("a connection", ENOMEM);
    connection->fd = fd;
    connection->length = 0;
    watch(EPOLL_CTL_ADD, connection, EPOLLIN);
  }
}

int main(void) {
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) give_up("epoll", errno);
  static struct connection listener, input;
  listener.fd = listen_on_loopback(SOCK_NONBLOCK);
  input.fd = STDIN_FILENO;
  watch(EPOLL_CTL_ADD, &listener, EPOLLIN);
  watch(EPOLL_CTL_ADD, &input, EPOLLIN);
  for (;;) {
    struct epoll_event events[256];
    const int count = epoll_wait(poller, events, 256, -1);
    if (count < 0 && errno != EINTR) give_up("epoll_wait", errno);
    for (int i = 0; i < count; ++i) {
      struct connection* connection = events[i].data.ptr;
      if (connection == &input) return 0;
      if (connection == &listener) {
        accept_all(listener.fd);
      } else if (connection->length > 0) {
        send_rest(connection, 1);
      } else {
        receive(connection);
      }
    }
  }
}
