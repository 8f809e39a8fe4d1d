/// futex_waits.hpp — a thread for each wait on a futex, because nothing else reports one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <vector>

#include "emulation/ended_calls.hpp"

namespace corering::emulation {

/// A wait is ended by us through a word of our own, which its thread waits for as well.
///
/// Why no wake-up is lost. A thread needs a moment to begin, and until then the kernel knows of no wait. Who
/// changes the word before is noticed: the kernel compares the value when the thread enters it. Who wakes
/// through a ring of this process asks wake(), which knows every wait from the moment when it was lent, and
/// ends it by our own word. The thread enters the kernel with that word, too: either it has changed already,
/// and the kernel compares it, or the thread sleeps by then and is woken. Our word is written (seq_cst)
/// before its futex is woken, and the kernel compares and queues under one lock, so there is no moment in
/// between. If the kernel's queue gives the same thread a second wake meanwhile, the thread passes it on.
///
/// What is not found is a futex(2) of the program that changes nothing and comes in that moment.
///
/// At most 128 threads wait; further calls stand in line, where wake() finds them, and where one more thread
/// looks every 20 ms whether their words have changed.
/// thread: the ring's, except wake()
class FutexWaits {
 public:
  /// keep alive: `ended`, until end() has returned
  explicit FutexWaits(EndedCalls& ended) noexcept;
  FutexWaits(FutexWaits&&) = delete;
  ~FutexWaits() { leave(); }

  /// Nobody finds these waits any more. For a child of fork(2), which does not destroy them.
  void leave() noexcept;

  /// Who is to be woken.
  struct Wake {
    std::uint64_t word = 0;
    std::uint32_t count = 0;
    std::uint32_t mask = 0;
    int flags = 0;  ///< FUTEX_PRIVATE_FLAG, or 0
  };

  /// Ends at most `wake.count` waits of the process, and then others that the kernel knows of. Returns how
  /// many it ended, or -errno. It may be fewer than it did end if both kinds wait for the same word.
  /// thread: any
  static std::int64_t wake(const Wake& wake) noexcept;

  /// Never waits. Returns 0, or -errno if there is no thread and none can be made.
  int lend(Call& call) noexcept;
  TakenBack take_back(Call& call) noexcept;

  /// Gives up every wait, and waits for the threads.
  void end() noexcept;

  /// Whether the call belongs here.
  [[nodiscard]] static bool handles(const Call& call) noexcept {
    const auto opcode = static_cast<Opcode>(call.sqe.opcode);
    return opcode == Opcode::futex_wait || opcode == Opcode::futex_waitv;
  }

 private:
  static constexpr std::size_t most_threads = 128;

  struct Waiter {
    FutexWaits* owner = nullptr;
    pthread_t thread{};
    Call* call = nullptr;         // protected by the mutex
    std::int32_t woken_word = 0;  // the same
    std::atomic<std::uint32_t> ends{0};
    std::atomic<bool> is_in_slices{false};  // waits for the words of the call alone
  };

  static void* run(void* waiter) noexcept;
  void work(Waiter& waiter) noexcept;
  void finish(Waiter& waiter, std::int32_t result) noexcept;
  int serve_one_more() noexcept;
  int add_thread() noexcept;

  static void* run_watch(void* self) noexcept;
  int watch_line() noexcept;
  void look_at_line() noexcept;
  void end_in_line(Call& call, std::int32_t place) noexcept;

  static std::uint32_t wake_known(const Wake& wake) noexcept;
  std::uint32_t wake_threads(const Wake& wake, std::uint32_t most) noexcept;
  std::uint32_t wake_line(const Wake& wake, std::uint32_t most) noexcept;
  static void end(Waiter& waiter, std::int32_t place) noexcept;

  EndedCalls& ended_;
  FutexWaits* next_ = nullptr;  // of all those of this process
  unsigned made_in_;            // the process

  std::mutex mutex_;  // protects what follows
  std::condition_variable changed_;
  std::condition_variable line_changed_;
  IntrusiveList<Call> line_;
  std::size_t in_line_ = 0;
  std::size_t idle_ = 0;
  bool ends_ = false;
  bool is_watched_ = false;  // the line
  pthread_t watch_{};
  Waiter nobody_;                                 // what ended in the line was never with a thread
  std::vector<std::unique_ptr<Waiter>> waiters_;  // only the ring's thread changes it
};

}  // namespace corering::emulation
