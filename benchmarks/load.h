/* load.h — the clients of an echo server: connections with one message in flight each. */
#pragma once

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOAD_MESSAGE = 64 };

struct load;

/* Opens `connections` to 127.0.0.1:`port`, and waits on each one for the answer to one message. `at_once` of
 * them are opened at a time: this number may wait to be accepted. Returns -errno on failure; *opened then
 * says how many were opened. */
int load_open(struct load** load, uint16_t port, unsigned connections, unsigned at_once, unsigned* opened);

/* Closes the connections at once. */
void load_close(struct load* load);

struct load_result {
  uint64_t requests;          /* the number answered in the measured time */
  int64_t nanoseconds;        /* how long that was */
  int64_t server_nanoseconds; /* processor time of the server in that time */
  double p50, p99, p999;      /* nanoseconds, to 1.6 % */
};

/* Sends on every connection, and sends again whenever the answer has come. The answer must have the bytes
 * that were sent. This runs for `warm_up` nanoseconds, and then for `measured` nanoseconds, while the clock
 * `server` tells the server's processor time. With one connection the client may think for `gap` nanoseconds,
 * awake, before it sends again.
 *
 * With an `interval` above 0 the load is open: over all connections in turn, a message is due every
 * `interval` nanoseconds. It is sent when it is due and the connection's last answer has come. Its latency
 * counts from the time when it was due, so that a slow server cannot hide how long its clients wait. The
 * client stays awake.
 *
 * Returns -errno on failure: EBADMSG if other bytes came back. *served counts every request, also those of
 * the warm-up. */
int load_run(struct load* load, int64_t warm_up, int64_t measured, int64_t gap, int64_t interval,
             clockid_t server, struct load_result* result, uint64_t* served);

#ifdef __cplusplus
}
#endif
