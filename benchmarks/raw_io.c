/* raw_io.c — nop and read, by hand. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "raw.h"
#include "raw_ring.h"

int64_t raw_nop(unsigned depth, uint64_t operations) {
  struct io_uring ring;
  int result = raw_open(&ring);
  if (result < 0) return result;
  const int64_t begin = raw_now();
  uint64_t started = 0, done = 0;
  while (started < depth && started < operations) {
    struct io_uring_sqe* sqe = raw_sqe(&ring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, started++);
  }
  while (done < operations) {
    result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0) break;
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      if (seen == RAW_SQ_ENTRIES) break;
      if (cqe->res < 0) result = cqe->res;
      const uint64_t slot = cqe->user_data;
      ++seen;
      if (started == operations) continue;
      ++started;
      struct io_uring_sqe* sqe = raw_sqe(&ring);
      io_uring_prep_nop(sqe);
      io_uring_sqe_set_data64(sqe, slot);
    }
    io_uring_cq_advance(&ring, seen);
    done += seen;
    if (result < 0) break;
  }
  const int64_t end = raw_now();
  io_uring_queue_exit(&ring);
  return result < 0 ? result : end - begin;
}

struct reader {
  struct raw_reads reads;
  uint64_t random;
  char* buffers;
};

static off_t next_offset(struct reader* reader) {
  reader->random = reader->random * 6364136223846793005ULL + 1442695040888963407ULL;
  return (off_t)((reader->random >> 33) % reader->reads.blocks * reader->reads.block);
}

static void prepare_read(struct reader* reader, struct io_uring_sqe* sqe, uint64_t slot) {
  const struct raw_reads* reads = &reader->reads;
  char* buffer = reader->buffers + slot * reads->block;
  if (reads->fixed) {
    io_uring_prep_read_fixed(sqe, 0, buffer, (unsigned)reads->block, (uint64_t)next_offset(reader),
                             (int)slot);
    sqe->flags |= IOSQE_FIXED_FILE;
  } else {
    io_uring_prep_read(sqe, reads->fd, buffer, (unsigned)reads->block, (uint64_t)next_offset(reader));
  }
  io_uring_sqe_set_data64(sqe, slot);
}

static int register_both(struct io_uring* ring, const struct reader* reader, unsigned depth) {
  struct iovec* vectors = calloc(depth, sizeof *vectors);
  if (vectors == NULL) return -ENOMEM;
  for (unsigned i = 0; i < depth; ++i) {
    vectors[i] = (struct iovec){reader->buffers + i * reader->reads.block, reader->reads.block};
  }
  int result = io_uring_register_buffers(ring, vectors, depth);
  free(vectors);
  return result < 0 ? result : io_uring_register_files(ring, &reader->reads.fd, 1);
}

static int64_t read_all(struct io_uring* ring, struct reader* reader, unsigned depth, uint64_t operations) {
  const int64_t begin = raw_now();
  uint64_t started = 0, done = 0;
  for (; started < depth && started < operations; ++started) prepare_read(reader, raw_sqe(ring), started);
  while (done < operations) {
    int result = io_uring_submit_and_wait(ring, 1);
    if (result < 0) return result;
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
      if (seen == RAW_SQ_ENTRIES) break;
      if (cqe->res != (int)reader->reads.block) result = cqe->res < 0 ? cqe->res : -EIO;
      ++seen;
      if (started == operations) continue;
      ++started;
      prepare_read(reader, raw_sqe(ring), cqe->user_data);
    }
    io_uring_cq_advance(ring, seen);
    done += seen;
    if (result < 0) return result;
  }
  return raw_now() - begin;
}

int64_t raw_read(const struct raw_reads* reads, unsigned depth, uint64_t operations) {
  struct reader reader = {.reads = *reads, .random = 1};
  struct io_uring ring;
  int64_t result = raw_open(&ring);
  if (result < 0) return result;
  if (posix_memalign((void**)&reader.buffers, 4096, depth * reads->block) != 0) result = -ENOMEM;
  if (result >= 0 && reads->fixed) result = register_both(&ring, &reader, depth);
  if (result >= 0) result = read_all(&ring, &reader, depth, operations);
  io_uring_queue_exit(&ring);
  free(reader.buffers);
  return result;
}

int64_t raw_pread(const struct raw_reads* reads, uint64_t operations) {
  struct reader reader = {.reads = *reads, .random = 1};
  if (posix_memalign((void**)&reader.buffers, 4096, reads->block) != 0) return -ENOMEM;
  int64_t result = 0;
  const int64_t begin = raw_now();
  for (uint64_t i = 0; i < operations && result == 0; ++i) {
    const ssize_t got = pread(reads->fd, reader.buffers, reads->block, next_offset(&reader));
    if (got != (ssize_t)reads->block) result = got < 0 ? -errno : -EIO;
  }
  const int64_t end = raw_now();
  free(reader.buffers);
  return result < 0 ? result : end - begin;
}
