/* raw_io.c — nop and read, by hand. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "raw.h"
#include "raw_ring.h"

int64_t raw_nop(unsigned depth, uint64_t operations) {
  struct io_uring ring;
  int result = raw_open(&ring);
  if (result < 0) return result;
  const int64_t begin = raw_now();
  uint64_t started = 0, done = 0;
  while (started < depth && started < operations) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, started++);
  }
  while (done < operations) {
    result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0) break;
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      if (cqe->res < 0) result = cqe->res;
      const uint64_t slot = cqe->user_data;
      ++seen;
      if (started == operations) continue;
      ++started;
      struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
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
  int fd;
  size_t block;
  uint64_t blocks;
  uint64_t random;
  char* buffers;
};

static void prepare_read(struct reader* reader, struct io_uring_sqe* sqe, uint64_t slot) {
  reader->random = reader->random * 6364136223846793005ULL + 1442695040888963407ULL;
  const uint64_t offset = (reader->random >> 33) % reader->blocks * reader->block;
  io_uring_prep_read(sqe, reader->fd, reader->buffers + slot * reader->block, (unsigned)reader->block,
                     offset);
  io_uring_sqe_set_data64(sqe, slot);
}

int64_t raw_read(int fd, unsigned depth, uint64_t operations, size_t block, uint64_t blocks) {
  struct reader reader = {.fd = fd, .block = block, .blocks = blocks, .random = 1};
  if (posix_memalign((void**)&reader.buffers, 4096, depth * block) != 0) return -ENOMEM;
  struct io_uring ring;
  int result = raw_open(&ring);
  if (result < 0) return result;
  const int64_t begin = raw_now();
  uint64_t started = 0, done = 0;
  for (; started < depth && started < operations; ++started)
    prepare_read(&reader, io_uring_get_sqe(&ring), started);
  while (done < operations) {
    result = io_uring_submit_and_wait(&ring, 1);
    if (result < 0) break;
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      if (cqe->res != (int)block) result = cqe->res < 0 ? cqe->res : -EIO;
      ++seen;
      if (started == operations) continue;
      ++started;
      prepare_read(&reader, io_uring_get_sqe(&ring), cqe->user_data);
    }
    io_uring_cq_advance(&ring, seen);
    done += seen;
    if (result < 0) break;
  }
  const int64_t end = raw_now();
  io_uring_queue_exit(&ring);
  free(reader.buffers);
  return result < 0 ? result : end - begin;
}
