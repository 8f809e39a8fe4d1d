/// life_test.cpp — a worker that is used after main, and from a thread that is about to end. This is a
/// separate program, because a static object of it does the last step when everything else is gone.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

/// A worker that is started when it is first needed, and lives until the static objects are destroyed.
Worker& the_worker() {
  static Worker worker;
  static const Result<void> started = worker.start();
  if (!started) std::abort();
  return worker;
}

Task<int> uses_much(int value) {
  (void)co_await async_nop();
  (void)co_await with_timeout(std::chrono::hours(1), sleep_for(Duration(1)));
  const auto [one, two] = co_await when_all(test::just(value), async_nop());
  co_return two ? one : -1;
}

/// Returns what a coroutine of this thread gets from the worker.
int ask(int value) { return sync_wait(the_worker().spawn(uses_much(value)).value()); }

Task<int> hops_there_and_back(int value) {
  const Result<int> got = co_await with_timeout(std::chrono::hours(1), uses_much(value)).on(the_worker());
  co_return got.value_or(-1);
}

/// Its destructor is called after those of static objects that were made later, and long after the end of
/// this thread's own objects.
struct LastWords {
  LastWords() { (void)the_worker(); }  // so that the worker is destroyed after it
  ~LastWords() {
    const bool well = ask(1) == 1 && sync_wait(hops_there_and_back(2)) == 2 && ask(3) == 3;
    const std::error_code late = CancelReason::deadline(Duration(1), std::source_location::current()).error();
    const bool named = late.message().find("the deadline") == 0 &&
                       std::string(late.category().name()) == "corering.deadline";
    if (well && named) return;
    std::fputs("life_test: the worker did not answer at the end of the program\n", stderr);
    std::_Exit(1);
  }
};
const LastWords last_words;

TEST(SyncWait, works_while_static_objects_are_destroyed) {
  EXPECT_EQ(ask(1), 1);  // the rest is in ~LastWords, which makes the program fail
}

struct AtThreadEnd {
  explicit AtThreadEnd(int& answer) : answer(answer) {}
  ~AtThreadEnd() { answer = ask(20) + sync_wait(hops_there_and_back(2)) + ask(20); }
  int& answer;
};

TEST(SyncWait, works_in_a_destructor_of_a_thread_local_object_that_is_older_than_ours) {
  int answer = 0;
  std::thread([&answer] {
    thread_local AtThreadEnd last(answer);
    EXPECT_EQ(&last.answer, &answer);  // made before this thread has used the library
    EXPECT_EQ(ask(5), 5);
  }).join();
  EXPECT_EQ(answer, 42);
}

TEST(SyncWait, works_in_a_destructor_of_a_thread_local_object_that_is_younger_than_ours) {
  int answer = 0;
  std::thread([&answer] {
    EXPECT_EQ(ask(5), 5);
    thread_local AtThreadEnd last(answer);
    EXPECT_EQ(&last.answer, &answer);
  }).join();
  EXPECT_EQ(answer, 42);
}

TEST(SyncWait, works_on_a_thread_whose_first_call_is_in_such_a_destructor_while_recording) {
  int answer = 0;
  ASSERT_TRUE(trace::start(64));
  std::thread([&answer] {
    thread_local AtThreadEnd last(answer);
    EXPECT_EQ(&last.answer, &answer);
  }).join();
  trace::stop();
  EXPECT_EQ(answer, 42);
}

}  // namespace
}  // namespace corering
