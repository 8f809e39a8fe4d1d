/* echo_raw_multishot.c — by hand on liburing: receives stay armed and take buffers from a ring of 256, so
 * an idle connection has no buffer. What has been received is sent in order, one send at a time. */
#define _GNU_SOURCE
#include "../raw_ring.h"
#include "server.h"

enum { BUFFERS = 256, GROUP = 0, NOBODY = BUFFERS };
enum step { ACCEPTING, ENDING, RECEIVING, SENDING, CLOSING }; /* in the low bits of a request's user_data */

struct connection {
  int fd;
  uint16_t first, last; /* buffers to send, NOBODY when there are none */
  char armed, ended;
};

static struct io_uring ring;
static struct io_uring_buf_ring* free_buffers;
static char memory[BUFFERS][BUFFER_SIZE];
static int lengths[BUFFERS];
static uint16_t next_of[BUFFERS];

static struct io_uring_sqe* request(struct io_uring_sqe* sqe, struct connection* connection, enum step step) {
  io_uring_sqe_set_data64(sqe, (uintptr_t)connection | step);
  return sqe;
}

static void give_back(uint16_t buffer) {
  io_uring_buf_ring_add(free_buffers, memory[buffer], BUFFER_SIZE, buffer, io_uring_buf_ring_mask(BUFFERS),
                        0);
  io_uring_buf_ring_advance(free_buffers, 1);
}

static void receive(struct connection* connection) {
  struct io_uring_sqe* sqe = raw_sqe(&ring);
  io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = GROUP;
  request(sqe, connection, RECEIVING);
  connection->armed = 1;
}

static void send_first(struct connection* connection) {
  struct io_uring_sqe* sqe = raw_sqe(&ring);
  io_uring_prep_send(sqe, connection->fd, memory[connection->first], (size_t)lengths[connection->first],
                     MSG_NOSIGNAL | MSG_WAITALL);
  request(sqe, connection, SENDING);
}

static void close_when_done(struct connection* connection) {
  if (!connection->ended || connection->armed || connection->first != NOBODY) return;
  struct io_uring_sqe* sqe = raw_sqe(&ring);
  io_uring_prep_close(sqe, connection->fd);
  request(sqe, connection, CLOSING);
}

static void end(struct connection* connection, int error) {
  if (error != 0 && !peer_has_gone(error)) give_up("a connection", error);
  connection->ended = 1;
}

static void received(struct connection* connection, const struct io_uring_cqe* cqe) {
  connection->armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
  if (cqe->res > 0) {
    const uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    lengths[buffer] = cqe->res;
    next_of[buffer] = NOBODY;
    if (connection->first == NOBODY) {
      connection->first = connection->last = buffer;
      send_first(connection);
    } else {
      next_of[connection->last] = buffer;
      connection->last = buffer;
    }
  } else if (cqe->res != -ENOBUFS) {
    end(connection, -cqe->res);
  }
  if (!connection->armed && !connection->ended) receive(connection);
  close_when_done(connection);
}

static void sent(struct connection* connection, int result) {
  if (result < 0) end(connection, -result);
  const uint16_t buffer = connection->first;
  connection->first = next_of[buffer];
  give_back(buffer);
  if (connection->first != NOBODY) send_first(connection);
  close_when_done(connection);
}

static void accept_more(struct connection* listener) {
  struct io_uring_sqe* sqe = raw_sqe(&ring);
  io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
  request(sqe, listener, ACCEPTING);
}

static void accepted(int fd) {
  if (fd < 0) give_up("accepting", -fd);
  struct connection* connection = malloc(sizeof *connection);
  if (connection == NULL) give_up("a connection", ENOMEM);
  *connection = (struct connection){.fd = fd, .first = NOBODY, .last = NOBODY};
  receive(connection);
}

/* Returns 0 when the server should end. */
static int go_on(const struct io_uring_cqe* cqe) {
  const uint64_t steps = 7;
  struct connection* connection = (struct connection*)(uintptr_t)(cqe->user_data & ~steps);
  switch ((enum step)(cqe->user_data & steps)) {
    case ENDING:
      return 0;
    case ACCEPTING:
      accepted(cqe->res);
      if (!(cqe->flags & IORING_CQE_F_MORE)) accept_more(connection);
      break;
    case RECEIVING:
      received(connection, cqe);
      break;
    case SENDING:
      sent(connection, cqe->res);
      break;
    case CLOSING:
      free(connection);
      break;
  }
  return 1;
}

static void lend_buffers(void) {
  struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = GROUP};
  if (posix_memalign((void**)&free_buffers, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0) {
    give_up("a buffer ring", ENOMEM);
  }
  reg.ring_addr = (uintptr_t)free_buffers;
  const int result = io_uring_register_buf_ring(&ring, &reg, 0);
  if (result < 0) give_up("a buffer ring", -result);
  io_uring_buf_ring_init(free_buffers);
  for (uint16_t i = 0; i < BUFFERS; ++i) give_back(i);
}

int main(void) {
  const int opened = raw_open(&ring);
  if (opened < 0) give_up("io_uring", -opened);
  lend_buffers();
  static _Alignas(8) struct connection listener;
  static char nothing;
  listener.fd = listen_on_loopback(0);
  accept_more(&listener);
  struct io_uring_sqe* sqe = raw_sqe(&ring);
  io_uring_prep_read(sqe, STDIN_FILENO, &nothing, 1, 0);
  request(sqe, NULL, ENDING);
  for (int running = 1; running;) {
    const int result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0 && result != -EINTR) give_up("io_uring_enter", -result);
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      if (seen == RAW_SQ_ENTRIES) break;
      ++seen;
      running &= go_on(cqe);
    }
    io_uring_cq_advance(&ring, seen);
  }
  return 0;
}
