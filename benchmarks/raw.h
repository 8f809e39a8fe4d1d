/* raw.h — the hand-written liburing side of the comparison: what a careful C programmer would write. */
#pragma once

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each measurement returns nanoseconds, without the set-up, or -errno. The ring has
 * SINGLE_ISSUER | DEFER_TASKRUN | SUBMIT_ALL | CLAMP, 256 SQEs, 4096 CQEs, registered ring descriptor. */

/* Does `operations` nops, `depth` at a time: a new one for each completion. */
int64_t raw_nop(unsigned depth, uint64_t operations);

/* Reads of `block` bytes at pseudo-random blocks of the file's first `blocks`. */
struct raw_reads {
  int fd;
  size_t block;
  uint64_t blocks;
  int fixed; /* with a registered file and registered buffers */
};

/* Does `operations` reads, `depth` at a time. Every read must return a whole block. */
int64_t raw_read(const struct raw_reads* reads, unsigned depth, uint64_t operations);

/* Does the same reads one after the other, with pread(2). */
int64_t raw_pread(const struct raw_reads* reads, uint64_t operations);

/* A thread that sleeps in its ring until its eventfd is written, and takes work from a lock-free list. With
 * `spins` it always watches that list for up to 100 us before it sleeps, and raw_hop() watches for the answer
 * in the same way. */
struct raw_worker;
int raw_worker_start(struct raw_worker** worker, int cpu, int spins);
void raw_worker_stop(struct raw_worker* worker);

/* Does `count` round trips, one at a time: it hands over a node, and sleeps on a futex until the worker has
 * answered. */
int64_t raw_hop(struct raw_worker* worker, uint64_t count);

/* Hands over `count` nodes, RAW_WINDOW at a time, and ends when the worker has run the last one. Any number
 * of threads may call it. */
#define RAW_WINDOW 4096
int64_t raw_post(struct raw_worker* worker, uint64_t count);

/* Both sides wait for another thread in this way: they spin, and let other threads run when it takes long. */
struct raw_patience {
  unsigned spins;
};
static inline void raw_wait_a_little(struct raw_patience* patience) {
  if (++patience->spins < 1000) {
    __builtin_ia32_pause();
  } else {
    sched_yield();
  }
}

#ifdef __cplusplus
}
#endif
