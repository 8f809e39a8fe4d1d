/* strand.pml — where a strand is, and how a cancellation finds it: engine/cancel_protocol.hpp and engine/strand.hpp
 * with three workers, a strand that hops and goes home, and two requests from other threads.
 *
 * Each statement is one step, and between two steps anybody else may go on. Checked for every order:
 *  - a request that is made before the strand has ended reaches it (otherwise the strand waits for ever: an invalid end state);
 *  - only the thread where the strand is touches its scopes;
 *  - nothing is posted to a worker that has closed its queue;
 *  - the strand's end is told once, and nobody touches it after that.
 * What the caller owes, that the scope lives until request() has returned, is taken for granted.
 *
 * With -D and one of these names the protocol is weakened, and must be refuted by what stands after the name:
 *   HOP_POSTS_AFTER_THE_LOCK: assertion violated (owner==me)
 *   MESSAGE_IS_NOT_PASSED_ON: invalid end state
 *   END_DOES_NOT_WAIT: assertion violated (ends_told==0)
 *   MESSAGE_IS_CLEARED_LATE: invalid end state
 *   REQUEST_LOOKS_WITHOUT_THE_LOCK: assertion violated !(closed[seen])
 *   MESSAGES_ARE_SENT_TWICE: assertion violated under_way
 *   CLOSES_OVER_A_MESSAGE: invalid end state
 *   CLOSES_BEFORE_ITS_SCOPES: assertion violated !(closed[0])
 */
#define WORKERS 3
#define SCOPES 2
#define NOWHERE 255

mtype = { strand_arrives, message_arrives };
chan queue[WORKERS] = [2] of { mtype };
bool refuses[WORKERS];  /* from then on post() is refused; what is posted regardless still arrives */
bool closed[WORKERS];

bool locked;            /* the strand's lock; what it guards: */
byte location = 0;
bool ended;
bool under_way;

bool requested[SCOPES]; /* the two scopes; the second is opened on worker 0 */
bool cancelled[SCOPES];
bool scope_is_open = true;

byte hosted_by = 0;     /* the worker that can resume the strand; NOWHERE while it is in a queue */
byte owner = 0;         /* the thread that may touch its scopes: also while the strand is still in its queue */
byte ends_told;
byte hops_left = 2;
bool is_patient;        /* it ends only when both scopes are cancelled */
byte requests_left = SCOPES;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline touch() { assert(ends_told == 0) }

/* Like Mailbox::post_regardless(): the caller knows that the worker has not ended. */
inline push(to, what) { atomic { assert(!closed[to]); queue[to]!what } }

/* With the lock held. */
inline send_message() {
#ifndef MESSAGES_ARE_SENT_TWICE
  assert(!under_way);
#endif
  under_way = true;
  push(location, message_arrives)
}

inline cancel_here(me, scope) {
  assert(owner == me);
  touch();
  cancelled[scope] = true
}

/* CancelProtocol::request() on the thread `me`, which is NOWHERE for one without a worker. */
inline request(me, scope) {
#ifdef REQUEST_LOOKS_WITHOUT_THE_LOCK
  seen = location;
  if
  :: seen == NOWHERE -> skip
  :: else -> lock(); requested[scope] = true;
     if :: under_way -> skip :: else -> under_way = true; push(seen, message_arrives) fi;
     unlock()
  fi;
#else
  lock();
  if
  :: location == NOWHERE -> unlock()
  :: location == me && me != NOWHERE -> unlock(); cancel_here(me, scope)
  :: else ->
     requested[scope] = true;
#ifdef MESSAGES_ARE_SENT_TWICE
     send_message();
#else
     if :: under_way -> skip :: else -> send_message() fi;
#endif
     unlock()
  fi;
#endif
  requests_left--
}

inline take_every_request(me) {
  if :: requested[0] -> requested[0] = false; cancel_here(me, 0) :: else -> skip fi;
  if :: requested[1] -> requested[1] = false; cancel_here(me, 1) :: else -> skip fi
}

inline tell_end() { touch(); ends_told++ }

inline message_arrived(me) {
  touch();
#ifdef MESSAGE_IS_CLEARED_LATE
  lock();
  if
  :: ended -> under_way = false; unlock(); tell_end()
  :: !ended && location != me -> under_way = false; send_message(); unlock()
  :: else -> unlock(); take_every_request(me); lock(); under_way = false; unlock()
  fi
#else
  lock();
  assert(under_way);
  under_way = false;
  if
  :: ended -> unlock(); tell_end()
#ifdef MESSAGE_IS_NOT_PASSED_ON
  :: !ended && location != me -> unlock()
#else
  :: !ended && location != me -> send_message(); unlock()
#endif
  :: else -> unlock(); take_every_request(me)
  fi
#endif
}

inline post_strand(me, to) {
  atomic { if :: closed[to] -> location = me; hosted_by = me :: else -> queue[to]!strand_arrives; owner = to fi }
}

/* Strand::hop(): the post and the new location under one lock. */
inline hop(me, to) {
  touch();
  hops_left--;
  hosted_by = NOWHERE;
#ifdef HOP_POSTS_AFTER_THE_LOCK
  lock(); location = to; unlock();
  if
  :: refuses[to] -> lock(); location = me; unlock(); hosted_by = me
  :: else -> post_strand(me, to)
  fi
#else
  lock();
  location = to;
  if
  :: refuses[to] -> location = me; hosted_by = me
  :: else -> post_strand(me, to)
  fi;
  unlock()
#endif
}

inline go_home(me) {
  touch();
  hosted_by = NOWHERE;
  lock();
  location = 0;
  atomic { assert(!closed[0]); queue[0]!strand_arrives; owner = 0 };
  unlock()
}

inline end_strand(me) {
  touch();
  hosted_by = NOWHERE;
  lock();
  location = NOWHERE;
  ended = true;
#ifdef END_DOES_NOT_WAIT
  unlock();
  tell_end()
#else
  if
  :: under_way -> unlock()
  :: else -> unlock(); tell_end()
  fi
#endif
}

#define may_end (!scope_is_open && (!is_patient || (cancelled[0] && cancelled[1])))

proctype Worker(byte me) {
  byte to;
  byte seen;
  bool asks = (me == 1);  /* a coroutine of worker 1 makes one of the requests */
  mtype what;
  do
  :: queue[me]?what ->
     if
     :: what == strand_arrives -> hosted_by = me
     :: what == message_arrives -> message_arrived(me)
     fi
  :: asks -> asks = false; request(me, 1)
  /* What the strand does when its worker resumes it. */
  :: hosted_by == me && hops_left > 0 ->
     if :: to = 0 :: to = 1 :: to = 2 fi;
     if :: to != me -> hop(me, to) :: else -> skip fi
  :: hosted_by == me && me == 0 && scope_is_open -> scope_is_open = false
  :: hosted_by == me && me != 0 && scope_is_open -> go_home(me)
  :: hosted_by == me && may_end -> end_strand(me)
  /* It has been asked to stop. */
  :: !refuses[me] -> refuses[me] = true
#ifdef CLOSES_OVER_A_MESSAGE
  :: refuses[me] && hosted_by != me && !asks && (me != 0 || !scope_is_open) -> closed[me] = true; break
#else
#ifdef CLOSES_BEFORE_ITS_SCOPES
  :: atomic { refuses[me] && hosted_by != me && !asks && empty(queue[me]) -> closed[me] = true; break }
#else
  :: atomic { refuses[me] && hosted_by != me && !asks && empty(queue[me]) && (me != 0 || !scope_is_open) ->
       closed[me] = true; break }
#endif
#endif
  od
}

proctype Canceller() {
  byte seen;
  request(NOWHERE, 0)
}

proctype Judge() {
  closed[0] && closed[1] && closed[2] && requests_left == 0;
  assert(ends_told == 1);
  assert(!under_way)
}

init {
  atomic {
    if :: is_patient = true :: is_patient = false fi;
    run Worker(0); run Worker(1); run Worker(2);
    run Canceller();
    run Judge()
  }
}
