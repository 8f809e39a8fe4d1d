/* load.c — drives connections to an echo server, and counts requests and latencies. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A bucket is 1/64 of a power of two wide. */
enum { SUB_BITS = 6, SUBS = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUBS };

struct client {
  int fd;
  unsigned received;
  uint64_t sequence;
  int64_t sent_at; /* or when it was due */
  int64_t due;     /* when to send next, at a fixed rate */
};

struct load {
  int poller;
  unsigned count;
  struct client* clients;
  uint64_t served;
  uint64_t histogram[BUCKETS];
};

static int64_t now(clockid_t clock) {
  struct timespec time;
  return clock_gettime(clock, &time) == 0 ? time.tv_sec * 1000000000LL + time.tv_nsec : -1;
}

static unsigned bucket_of(uint64_t value) {
  if (value < SUBS) return (unsigned)value;
  const unsigned shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
  return (shift + 1) * SUBS + (unsigned)(value >> shift) - SUBS;
}

/* The middle of the bucket. */
static double value_of(unsigned bucket) {
  if (bucket < SUBS) return bucket;
  const unsigned shift = bucket / SUBS - 1;
  return ((double)(bucket % SUBS + SUBS) + 0.5) * (double)(1ULL << shift);
}

static double percentile(const struct load* load, uint64_t requests, double share) {
  const double wanted = share * (double)requests;
  uint64_t seen = 0;
  for (unsigned i = 0; i < BUCKETS; ++i) {
    seen += load->histogram[i];
    if ((double)seen >= wanted && seen > 0) return value_of(i);
  }
  return 0;
}

/* No two messages of a run are alike. */
static void compose(const struct load* load, const struct client* client, uint64_t* message) {
  uint64_t word = ((uint64_t)(client - load->clients) << 40) + client->sequence;
  for (unsigned i = 0; i < LOAD_MESSAGE / sizeof *message; ++i) {
    word = word * 6364136223846793005ULL + 1442695040888963407ULL;
    message[i] = word;
  }
}

static int send_next(struct load* load, struct client* client, int64_t time) {
  uint64_t message[LOAD_MESSAGE / sizeof(uint64_t)];
  ++client->sequence;
  compose(load, client, message);
  client->received = 0;
  client->sent_at = time;
  const ssize_t sent = send(client->fd, message, LOAD_MESSAGE, MSG_NOSIGNAL);
  if (sent < 0) return -errno;
  return sent == LOAD_MESSAGE ? 0 : -EMSGSIZE; /* an empty socket takes 64 bytes */
}

/* Returns 1 when the answer is complete, 0 when a part of it has not come yet. */
static int receive(struct load* load, struct client* client, int flags) {
  uint64_t expected[LOAD_MESSAGE / sizeof(uint64_t)];
  char answer[LOAD_MESSAGE];
  const ssize_t got = recv(client->fd, answer, LOAD_MESSAGE - client->received, flags);
  if (got < 0) return errno == EAGAIN ? 0 : -errno;
  if (got == 0) return -ECONNRESET;
  compose(load, client, expected);
  if (memcmp(answer, (const char*)expected + client->received, (size_t)got) != 0) return -EBADMSG;
  client->received += (unsigned)got;
  return client->received == LOAD_MESSAGE;
}

static int connect_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int yes = 1;
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0 ||
      connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static int open_client(struct load* load, struct client* client, uint16_t port) {
  client->fd = connect_to(port);
  if (client->fd < 0) return client->fd;
  ++load->count;
  return send_next(load, client, 0);
}

/* Its answer also says that the server has accepted it, so the listener's backlog never fills. */
static int await_answer(struct load* load, struct client* client) {
  int result = 0;
  while (result == 0) {
    struct pollfd arrives = {.fd = client->fd, .events = POLLIN};
    const int ready = poll(&arrives, 1, 1000);
    if (ready <= 0) return ready < 0 ? -errno : -ETIMEDOUT;
    result = receive(load, client, MSG_DONTWAIT);
  }
  if (result < 0) return result;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  return epoll_ctl(load->poller, EPOLL_CTL_ADD, client->fd, &event) == 0 ? 0 : -errno;
}

/* The clients from `begin` to `end`. */
static int open_some(struct load* load, unsigned begin, unsigned end, uint16_t port) {
  int result = 0;
  for (unsigned i = begin; i < end && result == 0; ++i) result = open_client(load, &load->clients[i], port);
  for (unsigned i = begin; i < end && result == 0; ++i) result = await_answer(load, &load->clients[i]);
  return result;
}

int load_open(struct load** out, uint16_t port, unsigned connections, unsigned at_once, unsigned* opened) {
  struct load* load = calloc(1, sizeof *load);
  if (load == NULL) return -ENOMEM;
  load->poller = epoll_create1(EPOLL_CLOEXEC);
  load->clients = calloc(connections, sizeof *load->clients);
  int result = load->poller < 0 ? -errno : load->clients == NULL ? -ENOMEM : 0;
  for (unsigned i = 0; i < connections && result == 0; i += at_once) {
    result = open_some(load, i, connections - i < at_once ? connections : i + at_once, port);
  }
  *opened = load->count;
  if (result < 0) {
    load_close(load);
  } else {
    load->served = connections;
    *out = load;
  }
  return result;
}

void load_close(struct load* load) {
  for (unsigned i = 0; i < load->count; ++i) close(load->clients[i].fd);
  if (load->poller >= 0) close(load->poller);
  free(load->clients);
  free(load);
}

/* Like receive(). A complete answer is counted, and *time is when it came. */
static int take_answer(struct load* load, struct client* client, int64_t* time, uint64_t* answered) {
  const int result = receive(load, client, MSG_DONTWAIT);
  *time = now(CLOCK_MONOTONIC);
  if (result == 1) {
    ++load->histogram[bucket_of((uint64_t)(*time - client->sent_at))];
    ++*answered;
  }
  return result;
}

/* Receives answers and sends again until `end`. Returns the time when it stopped, or -errno. */
static int64_t exchange(struct load* load, int64_t end, int64_t gap, uint64_t* answered) {
  for (;;) {
    struct epoll_event events[256];
    const int ready = epoll_wait(load->poller, events, 256, 1000);
    if (ready < 0) return -errno;
    if (ready == 0) return -ETIMEDOUT; /* no answer for a second */
    int64_t time = 0;
    for (int i = 0; i < ready; ++i) {
      struct client* client = events[i].data.ptr;
      int result = take_answer(load, client, &time, answered);
      if (result == 1) {
        for (const int64_t answer = time; time - answer < gap;) time = now(CLOCK_MONOTONIC);
        result = send_next(load, client, time);
      }
      if (result < 0) return result;
    }
    if (time >= end) return time;
  }
}

/* Sends what is due on connections whose last answer has come. */
static int send_due(struct load* load, int64_t time, int64_t interval) {
  int result = 0;
  for (unsigned i = 0; i < load->count && result == 0; ++i) {
    struct client* client = &load->clients[i];
    if (client->due > time || client->received < LOAD_MESSAGE) continue;
    result = send_next(load, client, client->due);
    client->due += interval * load->count;
  }
  return result;
}

/* Receives answers and sends what is due until `end`. Returns the time when it stopped, or -errno. */
static int64_t exchange_at_rate(struct load* load, int64_t end, int64_t interval, uint64_t* answered) {
  int64_t time = now(CLOCK_MONOTONIC), heard = time;
  while (time < end) {
    struct epoll_event events[256];
    int result = send_due(load, time, interval);
    const int ready = result < 0 ? 0 : epoll_wait(load->poller, events, 256, 0);
    if (ready < 0) result = -errno;
    time = now(CLOCK_MONOTONIC);
    for (int i = 0; i < ready && result >= 0; ++i) {
      result = take_answer(load, events[i].data.ptr, &time, answered);
      heard = time;
    }
    if (result < 0) return result;
    if (time - heard > interval + 1000000000) return -ETIMEDOUT; /* no answer for a second */
  }
  return time;
}

/* The first messages: all at once, or one after the other. */
static int start(struct load* load, int64_t time, int64_t interval) {
  int result = 0;
  for (unsigned i = 0; i < load->count && result == 0; ++i) {
    load->clients[i].due = time + interval * i;
    if (interval == 0) result = send_next(load, &load->clients[i], time);
  }
  return result;
}

static int64_t run_until(struct load* load, int64_t end, int64_t gap, int64_t interval, uint64_t* answered) {
  return interval > 0 ? exchange_at_rate(load, end, interval, answered) : exchange(load, end, gap, answered);
}

int load_run(struct load* load, int64_t warm_up, int64_t measured, int64_t gap, int64_t interval,
             clockid_t server, struct load_result* result, uint64_t* served) {
  int64_t time = now(CLOCK_MONOTONIC);
  const int64_t warm = time + warm_up;
  const int error = start(load, time, interval);
  if (error < 0) return error;
  uint64_t answered = 0;
  time = run_until(load, warm, gap, interval, &answered);
  if (time < 0) return (int)time;
  memset(load->histogram, 0, sizeof load->histogram);
  load->served += answered;
  answered = 0;
  const int64_t server_begin = now(server), begin = time;
  time = run_until(load, begin + measured, gap, interval, &answered);
  const int64_t server_end = now(server);
  if (time < 0) return (int)time;
  if (server_begin < 0 || server_end < 0) return -ESRCH;
  load->served += answered;
  *served = load->served;
  *result = (struct load_result){.requests = answered,
                                 .nanoseconds = time - begin,
                                 .server_nanoseconds = server_end - server_begin,
                                 .p50 = percentile(load, answered, 0.5),
                                 .p99 = percentile(load, answered, 0.99),
                                 .p999 = percentile(load, answered, 0.999)};
  return 0;
}
