/* mailbox.pml — how posters wake a worker that sleeps, and how it closes its eventfd: src/engine/mailbox.hpp with two posters,
 * two posts each. The order of the instructions inside of the queue is checked elsewhere (tests/engine/wake_protocol_test.cpp);
 * here a push and a mark are one step each, as the compare-exchange makes them.
 *
 * Checked for every order: every node that was accepted is taken (a lost wake is an invalid end state: the worker sleeps for ever),
 * one sleep costs at most one wake, and nobody writes to the eventfd after it was closed.
 *
 * With -D and one of these names it is weakened, and must be refuted by what stands after the name:
 *   LOOKS_BEFORE_IT_MARKS: invalid end state
 *   KEEPS_ITS_MARK: invalid end state
 *   FORGETS_PROMISED_WAKES: assertion violated !(eventfd_is_closed)
 *   COUNTS_BEFORE_IT_WRITES: assertion violated !(eventfd_is_closed)
 *   CLOSES_OVER_NODES: assertion violated (taken==accepted)
 */
#define POSTERS 2
#define POSTS 2

bool asleep;             /* the queue's word: nothing, asleep, closed, or so many nodes */
bool closed;
byte nodes;

byte eventfd;            /* what a read of it would give */
bool eventfd_is_closed;
byte promised;           /* wakes that posters have owed */
byte written;            /* wakes whose poster has said that it has written */
byte accepted, taken;
byte posters_left = POSTERS;
byte wakes_of_this_sleep;

inline wake() {
#ifdef COUNTS_BEFORE_IT_WRITES
  written++;
  assert(!eventfd_is_closed);
  eventfd++
#else
  assert(!eventfd_is_closed);
  eventfd++;
  written++
#endif
}

proctype Poster() {
  byte i;
  bool must_wake;
  for (i : 1 .. POSTS) {
    atomic {
      must_wake = false;
      if
      :: closed -> skip
      :: else ->
         must_wake = asleep; asleep = false; nodes++; accepted++;
         if :: must_wake -> wakes_of_this_sleep++; assert(wakes_of_this_sleep == 1) :: else -> skip fi
      fi
    };
    if :: must_wake -> wake() :: else -> skip fi
  }
  posters_left--
}

proctype Worker() {
  bool mark_was_taken;
  bool is_marked;
  do
  :: nodes > 0 ->
     atomic {
       taken = taken + nodes; nodes = 0;
       /* Whoever pushed first while we slept owes a write. */
       if :: mark_was_taken -> promised++; mark_was_taken = false :: else -> skip fi
     }
  :: nodes == 0 && !mark_was_taken ->
     /* It is about to sleep. */
#ifdef LOOKS_BEFORE_IT_MARKS
     if :: nodes == 0 -> wakes_of_this_sleep = 0; asleep = true; is_marked = true :: else -> is_marked = false fi;
#else
     atomic { if :: nodes == 0 -> wakes_of_this_sleep = 0; asleep = true; is_marked = true :: else -> is_marked = false fi };
#endif
     if
     :: is_marked ->
        /* In the kernel: the eventfd, or an operation of its own, wakes it. When nobody posts any more, nothing else does. */
        if
        :: eventfd > 0 -> eventfd = 0
        :: posters_left > 0 -> skip
        :: posters_left == 0 && nodes == 0 && asleep -> skip
        fi;
#ifndef KEEPS_ITS_MARK
        atomic { mark_was_taken = !asleep; asleep = false }
#else
        mark_was_taken = false
#endif
     :: else -> skip
     fi
  :: nodes == 0 && mark_was_taken -> nodes > 0  /* who has the mark has pushed: the node is there */
#ifdef CLOSES_OVER_NODES
  :: !mark_was_taken -> closed = true; asleep = false; break
#else
  :: atomic { nodes == 0 && !mark_was_taken -> closed = true; asleep = false; break }
#endif
  od;
#ifndef FORGETS_PROMISED_WAKES
  written == promised;
#endif
  eventfd_is_closed = true;
  posters_left == 0;
  assert(taken == accepted)
}

init { atomic { run Poster(); run Poster(); run Worker() } }
