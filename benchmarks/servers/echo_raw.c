/* echo_raw.c — by hand on liburing: one receive or one send in flight per connection, one enter per turn.
 * With "spin" it always watches its ring for up to 100 us before it sleeps. */
#define _GNU_SOURCE
#include "../raw_ring.h"
#include "server.h"

enum step { ACCEPTING, ENDING, RECEIVING, SENDING, CLOSING };

struct connection {
  enum step step;
  int fd;
  char buffer[BUFFER_SIZE];
};

static struct io_uring_sqe* next_step(struct io_uring* ring, struct connection* connection, enum step step) {
  struct io_uring_sqe* sqe = raw_sqe(ring);
  connection->step = step;
  return sqe;
}

static void receive(struct io_uring* ring, struct connection* connection) {
  struct io_uring_sqe* sqe = next_step(ring, connection, RECEIVING);
  io_uring_prep_recv(sqe, connection->fd, connection->buffer, BUFFER_SIZE, 0);
  io_uring_sqe_set_data(sqe, connection);
}

/* Sends everything: MSG_WAITALL goes on after a short send. */
static void send_back(struct io_uring* ring, struct connection* connection, int length) {
  struct io_uring_sqe* sqe = next_step(ring, connection, SENDING);
  io_uring_prep_send(sqe, connection->fd, connection->buffer, (size_t)length, MSG_NOSIGNAL | MSG_WAITALL);
  io_uring_sqe_set_data(sqe, connection);
}

static void close_it(struct io_uring* ring, struct connection* connection) {
  struct io_uring_sqe* sqe = next_step(ring, connection, CLOSING);
  io_uring_prep_close(sqe, connection->fd);
  io_uring_sqe_set_data(sqe, connection);
}

static void accept_more(struct io_uring* ring, struct connection* listener) {
  struct io_uring_sqe* sqe = next_step(ring, listener, ACCEPTING);
  io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
  io_uring_sqe_set_data(sqe, listener);
}

static void accepted(struct io_uring* ring, int fd) {
  if (fd < 0) give_up("accepting", -fd);
  struct connection* connection = malloc(sizeof *connection);
  if (connection == NULL) give_up("a connection", ENOMEM);
  connection->fd = fd;
  receive(ring, connection);
}

/* Returns 0 when the server should end. */
static int go_on(struct io_uring* ring, struct connection* connection, const struct io_uring_cqe* cqe) {
  const int result = cqe->res;
  switch (connection->step) {
    case ENDING:
      return 0;
    case ACCEPTING:
      accepted(ring, result);
      if (!(cqe->flags & IORING_CQE_F_MORE)) accept_more(ring, connection);
      break;
    case RECEIVING:
    case SENDING:
      if (result < 0 && !peer_has_gone(-result)) give_up("a connection", -result);
      if (result <= 0) {
        close_it(ring, connection);
      } else if (connection->step == RECEIVING) {
        send_back(ring, connection, result);
      } else {
        receive(ring, connection);
      }
      break;
    case CLOSING:
      free(connection);
      break;
  }
  return 1;
}

/* Hands over what is queued. Returns with a completion, or when 100 us have passed. */
static int watch(struct io_uring* ring) {
  const int64_t begin = raw_now();
  int result = io_uring_submit_and_get_events(ring);
  while (result >= 0 && io_uring_cq_ready(ring) == 0 && raw_now() - begin < 100000) {
    if (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_TASKRUN) result = io_uring_get_events(ring);
  }
  return result;
}

int main(int argc, char** argv) {
  const int spins = argc > 1 && strcmp(argv[1], "spin") == 0;
  struct io_uring ring;
  const int opened = spins ? raw_open_with(&ring, IORING_SETUP_TASKRUN_FLAG) : raw_open(&ring);
  if (opened < 0) give_up("io_uring", -opened);
  static struct connection listener, input;
  listener.fd = listen_on_loopback(0);
  accept_more(&ring, &listener);
  struct io_uring_sqe* sqe = next_step(&ring, &input, ENDING);
  io_uring_prep_read(sqe, STDIN_FILENO, input.buffer, 1, 0);
  io_uring_sqe_set_data(sqe, &input);
  for (int running = 1; running;) {
    int result = spins ? watch(&ring) : 0;
    if (result >= 0 && (!spins || io_uring_cq_ready(&ring) == 0)) result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0 && result != -EINTR) give_up("io_uring_enter", -result);
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      if (seen == RAW_SQ_ENTRIES) break;
      ++seen;
      running &= go_on(&ring, io_uring_cqe_get_data(cqe), cqe);
    }
    io_uring_cq_advance(&ring, seen);
  }
  return 0;
}
