/* raw_worker.c — hop and post, by hand. The head of a list also says "asleep"; an eventfd is read through the
 * ring. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"
#include "raw_ring.h"

struct node {
  struct node* next;
  void (*run)(struct raw_worker*, struct node*);
};

struct raw_worker {
  _Alignas(64) _Atomic(struct node*) head;
  _Alignas(64) _Atomic uint32_t answered; /* a futex: NOT_YET, ANSWERED, or NOT_YET_AND_ASLEEP */
  _Alignas(64) int eventfd;
  int cpu;
  int spins;
  int set_up;
  int stopped;
  pthread_t thread;
  pthread_barrier_t ready;
};

enum { NOT_YET, ANSWERED, NOT_YET_AND_ASLEEP };
enum { SPIN_NS = 100000 };

static struct node asleep;

static void push(struct raw_worker* worker, struct node* node) {
  struct node* head = atomic_load_explicit(&worker->head, memory_order_relaxed);
  do {
    node->next = head == &asleep ? NULL : head;
  } while (!atomic_compare_exchange_weak_explicit(&worker->head, &head, node, memory_order_acq_rel,
                                                  memory_order_relaxed));
  const uint64_t one = 1;
  if (head == &asleep && write(worker->eventfd, &one, sizeof one) != sizeof one) abort();
}

static void run_all(struct raw_worker* worker) {
  struct node* head = atomic_load_explicit(&worker->head, memory_order_relaxed);
  if (head == NULL || head == &asleep) return;
  head = atomic_exchange_explicit(&worker->head, NULL, memory_order_acquire);
  struct node* oldest = NULL;
  while (head != NULL) {
    struct node* next = head->next;
    head->next = oldest;
    oldest = head;
    head = next;
  }
  while (oldest != NULL) {
    struct node* next = oldest->next;
    oldest->run(worker, oldest);
    oldest = next;
  }
}

static int may_sleep(struct raw_worker* worker) {
  struct node* head = atomic_load_explicit(&worker->head, memory_order_relaxed);
  if (head == &asleep) return 1;
  return head == NULL && atomic_compare_exchange_strong_explicit(&worker->head, &head, &asleep,
                                                                 memory_order_release, memory_order_relaxed);
}

static void watch(struct raw_worker* worker) {
  const int64_t begin = raw_now();
  while (atomic_load_explicit(&worker->head, memory_order_relaxed) == NULL && raw_now() - begin < SPIN_NS) {
    __builtin_ia32_pause();
  }
}

static void* live(void* argument) {
  struct raw_worker* worker = argument;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(worker->cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  struct io_uring ring;
  worker->set_up = raw_open(&ring);
  pthread_barrier_wait(&worker->ready);
  if (worker->set_up < 0) return NULL;
  uint64_t count;
  int armed = 0;
  for (;;) {
    run_all(worker);
    if (worker->stopped) break;
    if (worker->spins) {
      watch(worker);
      struct node* head = atomic_load_explicit(&worker->head, memory_order_relaxed);
      if (head != NULL && head != &asleep) continue;
    }
    if (!armed) {
      io_uring_prep_read(io_uring_get_sqe(&ring), worker->eventfd, &count, sizeof count, 0);
      armed = 1;
    }
    if (may_sleep(worker)) {
      io_uring_submit_and_wait(&ring, 1);
    } else {
      io_uring_submit_and_get_events(&ring);
    }
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      ++seen;
      armed = 0;
    }
    io_uring_cq_advance(&ring, seen);
  }
  io_uring_queue_exit(&ring);
  return NULL;
}

int raw_worker_start(struct raw_worker** out, int cpu, int spins) {
  struct raw_worker* worker = aligned_alloc(64, sizeof *worker);
  if (worker == NULL) return -ENOMEM;
  *worker = (struct raw_worker){.eventfd = eventfd(0, EFD_CLOEXEC), .cpu = cpu, .spins = spins};
  if (worker->eventfd < 0) return -errno;
  pthread_barrier_init(&worker->ready, NULL, 2);
  const int error = pthread_create(&worker->thread, NULL, live, worker);
  if (error != 0) return -error;
  pthread_barrier_wait(&worker->ready);
  *out = worker;
  return worker->set_up;
}

static void run_stop(struct raw_worker* worker, struct node* node) {
  (void)node;
  worker->stopped = 1;
}

void raw_worker_stop(struct raw_worker* worker) {
  struct node stop = {.run = run_stop};
  push(worker, &stop);
  pthread_join(worker->thread, NULL);
  close(worker->eventfd);
  free(worker);
}

static void run_hop(struct raw_worker* worker, struct node* node) {
  (void)node;
  if (atomic_exchange_explicit(&worker->answered, ANSWERED, memory_order_release) == NOT_YET_AND_ASLEEP) {
    syscall(SYS_futex, &worker->answered, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
}

static void await_answer(struct raw_worker* worker) {
  if (worker->spins) {
    const int64_t begin = raw_now();
    while (atomic_load_explicit(&worker->answered, memory_order_acquire) == NOT_YET &&
           raw_now() - begin < SPIN_NS) {
      __builtin_ia32_pause();
    }
  }
  uint32_t seen = NOT_YET;
  if (!atomic_compare_exchange_strong_explicit(&worker->answered, &seen, NOT_YET_AND_ASLEEP,
                                               memory_order_acquire, memory_order_acquire)) {
    return;
  }
  while (atomic_load_explicit(&worker->answered, memory_order_acquire) != ANSWERED) {
    syscall(SYS_futex, &worker->answered, FUTEX_WAIT_PRIVATE, NOT_YET_AND_ASLEEP, NULL, NULL, 0);
  }
}

int64_t raw_hop(struct raw_worker* worker, uint64_t count) {
  struct node node = {.run = run_hop};
  const int64_t begin = raw_now();
  for (uint64_t i = 0; i < count; ++i) {
    atomic_store_explicit(&worker->answered, NOT_YET, memory_order_relaxed);
    push(worker, &node);
    await_answer(worker);
  }
  return raw_now() - begin;
}

struct counted_node {
  struct node node;
  _Atomic uint64_t* run; /* the counter of its poster */
};

static void run_post(struct raw_worker* worker, struct node* node) {
  (void)worker;
  _Atomic uint64_t* const run = ((struct counted_node*)node)->run;
  atomic_store_explicit(run, atomic_load_explicit(run, memory_order_relaxed) + 1, memory_order_release);
}

int64_t raw_post(struct raw_worker* worker, uint64_t count) {
  _Alignas(64) _Atomic uint64_t run = 0;
  struct counted_node* nodes = calloc(RAW_WINDOW, sizeof *nodes);
  if (nodes == NULL) return -ENOMEM;
  for (size_t i = 0; i < RAW_WINDOW; ++i) nodes[i] = (struct counted_node){{.run = run_post}, &run};
  const int64_t begin = raw_now();
  for (uint64_t posted = 0; posted < count;) {
    for (size_t i = 0; i < RAW_WINDOW && posted < count; ++i, ++posted) push(worker, &nodes[i].node);
    struct raw_patience patience = {0};
    while (atomic_load_explicit(&run, memory_order_acquire) < posted) raw_wait_a_little(&patience);
  }
  const int64_t elapsed = raw_now() - begin;
  free(nodes);
  return elapsed;
}
