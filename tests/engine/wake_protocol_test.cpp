/// wake_protocol_test.cpp — the way of a post to a sleeping worker, in every order in which it can happen.
///
/// The queue, with its count of the wakes that are owed, is the library's own template. What Mailbox and Loop
/// do around it is told here in a few lines: a push that must wake writes the eventfd, and the owner closes
/// that.
#include <array>
#include <cstdio>

#include <gtest/gtest.h>

#include "engine/interleavings.hpp"
#include "engine/woken_queue.hpp"

namespace corering::test {
namespace {

struct Node {
  Watched<Node*> next;
  Watched<int> work;
};

/// Thread 0 is the owner, which sleeps twice and then closes its queue; each of the others posts `items`
/// nodes.
template <Weakened weakened, std::size_t producers, std::size_t items, bool waits_for_wakes = true>
struct Posts {
  static constexpr std::size_t threads = producers + 1;
  static constexpr std::size_t most_sleeps = 2;
  template <class T>
  using Atomic = Explored<T, weakened>;

  void run(std::size_t thread) { thread == 0 ? own() : post(thread - 1); }

  void post(std::size_t producer) {
    for (std::size_t i = 0; i < items; ++i) {
      nodes[producer][i].work = 1;
      const Pushed pushed = queue.push(nodes[producer][i]);
      if (pushed == Pushed::must_wake) wake();
      if (pushed == Pushed::closed) ++refused[producer];
      Interleavings::current()->checkpoint((i + 1) * 8 + refused[producer]);
    }
  }
  void wake() {
    if (eventfd_is_open != 1) is_written_when_closed = true;
    eventfd.fetch_add(1, std::memory_order_acq_rel);
    queue.wake_is_written();
  }

  void own() {
    eventfd_is_open = 1;  // after this, and before the first mark
    for (std::size_t sleeps = 0; sleeps < most_sleeps && done < producers * items;) {
      take();
      if (done < producers * items && queue.fall_asleep()) {
        sleep();
        ++sleeps;
      }
      remember(sleeps);
    }
    while (!queue.try_close()) take();
    if (waits_for_wakes)
      queue.await_wakes([](auto& written, std::uint64_t promised) { written.wait_until(promised); });
    eventfd_is_open = 0;
  }
  void remember(std::size_t sleeps) {
    const auto [promised, mark_was_taken] = queue.owed();
    Interleavings::current()->checkpoint(sleeps * 4096 + done * 256 + promised * 16 +
                                         (mark_was_taken ? 2 : 0) + (wakes_by_others > 0 ? 1 : 0));
  }
  void take() {
    for (Node* at = queue.take(); at != nullptr;) {
      Node* const next = at->next;
      done += static_cast<std::size_t>(int{at->work});
      at->work = 0;  // the poster may use it for something else
      at = next;
    }
  }
  // A completion or a timer may wake the owner, too; here it does so once.
  void sleep() {
    eventfd.wait(std::exchange(wakes_by_others, 0) > 0);
    queue.wake_up();
  }

  [[nodiscard]] std::string failure() const {
    if (is_written_when_closed) return "the eventfd was written after it was closed";
    std::size_t answered = done;
    for (const std::size_t one : refused) answered += one;
    return answered == producers * items ? "" : "something posted was lost";
  }

  std::array<std::array<Node, items>, producers> nodes;
  BasicWokenQueue<Atomic, Node> queue;
  Atomic<std::uint64_t> eventfd{0};
  Watched<int> eventfd_is_open;
  std::array<std::size_t, producers> refused{};
  std::size_t done = 0;
  int wakes_by_others = 1;
  bool is_written_when_closed = false;
};

template <class Program>
Interleavings::Outcome explore(bool loads_are_steps = true) {
  const Interleavings::Outcome outcome = Interleavings::explore<Program>(loads_are_steps);
  std::fprintf(stderr, "  %zu states, %s\n", outcome.states,
               outcome.failure.empty() ? "no failure" : outcome.failure.c_str());
  return outcome;
}

TEST(WakeProtocol, loses_nothing_in_any_order) {
  EXPECT_EQ((explore<Posts<Weakened::nothing, 1, 3>>()).failure, "");
  EXPECT_EQ((explore<Posts<Weakened::nothing, 3, 1>>()).failure, "");
}

TEST(WakeProtocol, loses_nothing_of_three_that_post_twice) {
  const auto all = explore<Posts<Weakened::nothing, 3, 2>>(false);
  EXPECT_EQ(all.failure, "");
  EXPECT_GT(all.states, 100'000U);
}

TEST(WakeProtocol, needs_each_of_its_orders) {
  EXPECT_NE((explore<Posts<Weakened::release_of_push, 2, 1>>()).failure, "");
  EXPECT_NE((explore<Posts<Weakened::acquire_of_push, 2, 1>>()).failure, "");
  EXPECT_NE((explore<Posts<Weakened::acquire_of_take, 2, 1>>()).failure, "");
  EXPECT_NE((explore<Posts<Weakened::release_of_mark, 2, 1>>()).failure, "");
  EXPECT_NE((explore<Posts<Weakened::release_of_wake, 2, 1>>()).failure, "");
  EXPECT_NE((explore<Posts<Weakened::acquire_of_wake, 2, 1>>()).failure, "");
}

TEST(WakeProtocol, needs_the_check_before_the_sleep) {
  EXPECT_NE((explore<Posts<Weakened::check_of_mark, 1, 1>>()).failure, "");
}

TEST(WakeProtocol, needs_to_wait_for_the_wakes_that_are_owed) {
  EXPECT_NE((explore<Posts<Weakened::nothing, 1, 1, false>>()).failure, "");
}

/// Two threads that tell each other by plain stores, as in a queue with a flag for "asleep" and no fence.
template <std::memory_order order>
struct Flags {
  static constexpr std::size_t threads = 2;
  template <class T>
  using Atomic = Explored<T, Weakened::nothing>;
  void run(std::size_t thread) {
    mine[thread].store(1, order);
    sees_nothing[thread] = mine[1 - thread].load(std::memory_order_acquire) == 0;
  }
  [[nodiscard]] std::string failure() const {
    return sees_nothing[0] && sees_nothing[1] ? "neither saw the other" : "";
  }
  std::array<Atomic<int>, 2> mine{Atomic<int>{0}, Atomic<int>{0}};
  std::array<bool, 2> sees_nothing{};
};

TEST(Interleavings, know_store_buffers) {
  EXPECT_EQ((explore<Flags<std::memory_order_release>>()).failure, "neither saw the other");
  EXPECT_EQ((explore<Flags<std::memory_order_seq_cst>>()).failure, "");
}

}  // namespace
}  // namespace corering::test
