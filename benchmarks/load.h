/* load.h — the clients of an echo server: connections with one message in flight each. */
#pragma once

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOAD_MESSAGE = 64 };

struct load;

/* Opens `connections` to 127.0.0.1:`port` and has one message answered on each, `at_once` of them at a time:
 * so many may wait to be accepted. -errno, with how far it came in *opened. */
int load_open(struct load** load, uint16_t port, unsigned connections, unsigned at_once, unsigned* opened);

/* Closes the connections without ceremony. */
void load_close(struct load* load);

struct load_result {
  uint64_t requests;          /* answered in the measured time */
  int64_t nanoseconds;        /* how long that was */
  int64_t server_nanoseconds; /* processor time of the server in it */
  double p50, p99, p999;      /* nanoseconds, to 1.6 % */
};

/* Sends on every connection, and again whenever the answer has come, which must be the very bytes: first for
 * `warm_up` nanoseconds, then for `measured`, while `server` tells the server's processor time. With one
 * connection the client may think for `gap` nanoseconds, awake, before it sends again. -errno; EBADMSG for
 * other bytes than were sent. *served counts every request, those of the warm-up too. */
int load_run(struct load* load, int64_t warm_up, int64_t measured, int64_t gap, clockid_t server,
             struct load_result* result, uint64_t* served);

#ifdef __cplusplus
}
#endif
