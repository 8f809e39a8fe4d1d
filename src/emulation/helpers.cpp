/// helpers.cpp — lends calls to threads, and takes back what has not begun.
#include "emulation/helpers.hpp"

#include <cerrno>

#include <corering/base/assert.hpp>

#include "emulation/helper_thread.hpp"
#include "emulation/os_calls.hpp"

namespace corering::emulation {
namespace {

// What a call's note says while it is in the queue.
char is_queued;

}  // namespace

int Helpers::lend(Call& call) noexcept {
  CORERING_ASSERT(!call.is_linked(), "a call that is watched or lent is not lent again");
  std::unique_lock lock(mutex_);
  if (ends_) return -ECANCELED;
  if (idle_ <= queued_ && thread_count_ < most_threads_) {
    const int failed = start_helper_thread(threads_[thread_count_], "corering-help", &Helpers::run, this);
    if (failed == 0) ++thread_count_;
    if (thread_count_ == 0) return failed;
  }
  call.note = &is_queued;
  queue_.push_back(call);
  ++queued_;
  lock.unlock();
  changed_.notify_one();
  return 0;
}

TakenBack Helpers::take_back(Call& call) noexcept {
  const std::lock_guard lock(mutex_);
  if (call.note != &is_queued) return TakenBack::running;
  CORERING_ASSERT(queued_ > 0, "what is in the queue is counted");
  call.note = nullptr;
  call.unlink();
  --queued_;
  return TakenBack::given_back;
}

void* Helpers::run(void* self) noexcept {
  static_cast<Helpers*>(self)->work();
  return nullptr;
}

void Helpers::work() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return ends_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Call& call = queue_.pop_front();
    --queued_;
    call.note = nullptr;
    lock.unlock();
    call.ended = lent_call(call);
    ended_.push(call);
    lock.lock();
  }
}

void Helpers::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    while (!queue_.empty()) {
      Call& call = queue_.pop_front();
      call.note = nullptr;
      call.ended = Answer::done(-ECANCELED);
      ended_.push(call);
    }
    queued_ = 0;
  }
  changed_.notify_all();
  for (; thread_count_ > 0; --thread_count_) ::pthread_join(threads_[thread_count_ - 1], nullptr);
  CORERING_ASSERT(idle_ == 0 && queue_.empty(), "after the end nothing runs and nothing waits");
}

}  // namespace corering::emulation
