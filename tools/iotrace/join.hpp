/// join.hpp — how make_trace() finds the operations and the spans in the events of all threads.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "operations.hpp"

namespace iotrace {

/// Cuts what one worker's thread recorded into spans. It is fed every event of the thread, in order.
class SpanCutter {
 public:
  using Event = corering::trace::TimedEvent;

  explicit SpanCutter(std::uint32_t thread) noexcept : thread_(thread) {}

  void reserve(std::size_t count) { spans_.reserve(count); }
  /// `task` and `place` are of the operation to which the event belongs.
  void take(const Event& event, std::uint64_t task, std::uint64_t place);
  /// Returns the task that runs, when an event says that it spawned another one; 0: that is not known.
  [[nodiscard]] std::uint64_t running();
  /// Nothing is known until the next event.
  void stop() {
    close(last_ns_);
    started_.clear();
  }
  /// Returns what was found; nothing if this thread has no loop.
  [[nodiscard]] std::vector<Span> finish();

 private:
  struct Start {
    std::uint64_t task;
    std::uint64_t place;
  };
  void close(Ns ns);
  void begin(Ns ns, Span::What what, std::uint64_t task = 0, std::uint64_t place = 0);
  void run(Ns ns, std::uint64_t task, std::uint64_t place);
  void ran(std::uint64_t task, std::uint64_t place);
  void was_seen(std::uint64_t task);
  void enter(const Event& event);
  void give_gap_to_who_was_started(Ns ns);

  static constexpr std::size_t most_started = 64;

  std::uint32_t thread_;
  bool has_loop_ = false;
  Span open_{};
  bool is_open_ = false;
  Ns last_ns_ = 0;              // of the last event
  std::vector<Start> started_;  // in this turn, and not seen to run yet
  std::uint64_t spawner_ = 0;   // has never waited, and spawns one task after the other
  std::vector<Span> spans_;
};

/// Takes the events of all threads in the order of time.
class Join {
 public:
  using Event = corering::trace::TimedEvent;

  explicit Join(Trace& trace);
  void take(std::uint32_t thread, const Event& event);
  void finish();

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  struct Thread {
    explicit Thread(std::uint32_t number) noexcept : cutter(number) {}
    SpanCutter cutter;
    std::vector<std::uint32_t> filled;  // SQEs that no call has taken yet
    std::uint64_t handed = 0;           // SQEs, by the call that has not returned
    Ns last_return = unseen;
    Ns last_woken = unseen;
    std::uint32_t sleeper = none;  // the sleep that has just begun here
    std::uint32_t arrived = none;  // the hop that has just resumed here, if an operation follows
  };

  [[nodiscard]] Operation& at(std::uint32_t index) { return trace_.operations[index]; }
  std::uint32_t add(std::uint64_t id);
  [[nodiscard]] std::uint32_t find(std::uint64_t id) const;
  /// Returns the operation of the event, which is made if its beginning was not recorded. It is another one
  /// if that has had this moment already.
  std::uint32_t find_or_add(std::uint64_t id, At moment);
  std::uint32_t begin(std::uint32_t thread, const Event& event);
  void count_room();
  /// Returns the task that events call so at this moment.
  [[nodiscard]] std::uint64_t task_of(std::uint64_t address) const;
  void spawned(std::uint32_t thread, const Event& event);

  void take_of_operation(std::uint32_t thread, const Event& event);
  void take_of_hop(std::uint32_t thread, const Event& event);
  void take_of_loop(Thread& thread, const Event& event);
  void take_mark(std::uint32_t thread, const Event& event);
  void take_suspension(const Event& event);
  [[nodiscard]] std::uint32_t find_kept(const Event& event) const;
  [[nodiscard]] std::uint32_t find_kept_wait(const Event& event) const;
  static void kept(Operation& operation, const Event& event);
  void gap(std::uint32_t thread, const Event& event);
  void take_of_kernel(std::uint32_t thread, const Event& event);
  void take_of_stranger(std::uint32_t thread, const Event& event, At moment);
  void await(std::uint32_t thread, const Event& event);
  void wait_begins(std::uint32_t thread, const Event& event);
  void wait_ends(std::uint32_t thread, const Event& event);
  void joins(const Event& event);
  void timer(std::uint32_t thread, const Event& event);
  void read_now(std::uint32_t thread, const Event& event);
  void filled(std::uint32_t thread, const Event& event);
  void processed(std::uint32_t thread, const Event& event);
  void resumed(std::uint32_t thread, const Event& event);
  void pushed(std::uint32_t thread, const Event& event);
  void popped(std::uint32_t thread, const Event& event);
  void returned(Thread& thread, const Event& event);
  void note_in_kernel(std::uint32_t index, At moment, const Event& event, std::uint64_t answer);

  Trace& trace_;
  bool is_stranger_ = false;  // the program recorded nothing itself: all is known from the kernel
  std::vector<Thread> threads_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_id_;  // the newest of each id
  std::vector<std::uint32_t> before_;  // of each operation the one before with its id, or none
  std::unordered_map<std::uint64_t, std::uint32_t> tasks_;       // the newest at each address
  std::unordered_map<std::uint64_t, std::uint32_t> sleepers_;    // by their timers
  std::unordered_map<std::uint64_t, std::uint32_t> by_request_;  // the kernel's requests
};

}  // namespace iotrace
