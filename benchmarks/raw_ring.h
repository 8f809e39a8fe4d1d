/* raw_ring.h — opens the ring of the raw side, and reads its clock. */
#pragma once

#include <liburing.h>
#include <string.h>
#include <time.h>

/* This is also how many completions are looked at before they are given back. So the requests that they cause
 * always have room, in the submission queue and later in the completion queue. */
enum { RAW_SQ_ENTRIES = 256, RAW_CQ_ENTRIES = 4096 };

static inline int raw_open_with(struct io_uring* ring, unsigned more_flags) {
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | more_flags;
  params.cq_entries = RAW_CQ_ENTRIES;
  int result = io_uring_queue_init_params(RAW_SQ_ENTRIES, ring, &params);
  if (result < 0) return result;
  result = io_uring_register_ring_fd(ring);
  return result < 0 ? result : 0;
}

static inline int raw_open(struct io_uring* ring) { return raw_open_with(ring, 0); }

/* Returns an SQE. When there is no room, the queued SQEs go to the kernel first. */
static inline struct io_uring_sqe* raw_sqe(struct io_uring* ring) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(ring);
  while (sqe == NULL) {
    io_uring_submit(ring);
    sqe = io_uring_get_sqe(ring);
  }
  return sqe;
}

static inline int64_t raw_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}
