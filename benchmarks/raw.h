/* raw.h — the hand-written liburing side of the comparison: what a careful C programmer would write. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each measurement returns nanoseconds, set-up excluded, or -errno. The ring has the flags the library uses:
 * SINGLE_ISSUER | DEFER_TASKRUN | SUBMIT_ALL | CLAMP, 256 SQEs, 4096 CQEs, registered ring descriptor. */

/* `operations` nops, `depth` at a time, a new one for each completion. */
int64_t raw_nop(unsigned depth, uint64_t operations);

/* `operations` reads of `block` bytes, `depth` at a time, at pseudo-random blocks of the file's first
 * `blocks`. Every read must return a whole block. */
int64_t raw_read(int fd, unsigned depth, uint64_t operations, size_t block, uint64_t blocks);

/* A thread that sleeps in its ring until its eventfd is written, and takes work from a lock-free list. */
struct raw_worker;
int raw_worker_start(struct raw_worker** worker, int cpu);
void raw_worker_stop(struct raw_worker* worker);

/* `count` round trips, one at a time: hand a node over, sleep on a futex until the worker has answered. */
int64_t raw_hop(struct raw_worker* worker, uint64_t count);

/* `count` nodes handed over, RAW_WINDOW at a time; ends when the worker has run the last one. */
#define RAW_WINDOW 4096
int64_t raw_post(struct raw_worker* worker, uint64_t count);

#ifdef __cplusplus
}
#endif
