/// bare_side.cpp — a hundred lines that show what can be reached.
#include "bare_side.hpp"

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "raw_ring.h"

namespace bench::bare_side {
namespace {

/// Freed frames of one size class, linked into a list through their own memory. They stay until the program
/// ends.
struct FreeFrame {
  FreeFrame* next;
};
constexpr std::size_t granule = 32;
constinit thread_local std::array<FreeFrame*, 32> free_frames{};

struct Promise {
  static void* operator new(std::size_t size) {
    const std::size_t size_class = (size - 1) / granule;
    if (size_class >= free_frames.size()) throw std::bad_alloc();
    FreeFrame*& free = free_frames[size_class];
    return free == nullptr ? ::operator new((size_class + 1) * granule) : std::exchange(free, free->next);
  }
  static void operator delete(void* frame, std::size_t size) noexcept {
    FreeFrame*& free = free_frames[(size - 1) / granule];
    free = new (frame) FreeFrame{free};
  }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

/// A coroutine that runs when it is resumed. Its frame is freed at its end.
struct Detached {
  struct promise_type : Promise {
    Detached get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never final_suspend() const noexcept { return {}; }
  };
  std::coroutine_handle<promise_type> coroutine;
};

/// A coroutine that runs when it is awaited.
class Child {
 public:
  struct promise_type : Promise {
    std::coroutine_handle<> continuation;

    struct FinalAwaiter {
      bool await_ready() const noexcept { return false; }
#if defined(__clang__)
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().continuation;
      }
#else
      void await_suspend(std::coroutine_handle<promise_type>) const noexcept {}
#endif
      void await_resume() const noexcept {}
    };
    Child get_return_object() noexcept {
      return Child(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    FinalAwaiter final_suspend() const noexcept { return {}; }
  };

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
    Awaiter(Awaiter&&) = delete;
    ~Awaiter() { coroutine_.destroy(); }
    bool await_ready() const noexcept { return false; }
#if defined(__clang__)
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      coroutine_.promise().continuation = awaiting;
      return coroutine_;
    }
#else
    // g++ 12 does not always compile the above to a jump. These children end without suspending before.
    bool await_suspend(std::coroutine_handle<> awaiting) const {
      coroutine_.promise().continuation = awaiting;
      coroutine_.resume();
      return false;
    }
#endif
    void await_resume() const noexcept {}

   private:
    std::coroutine_handle<promise_type> coroutine_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(coroutine_); }

 private:
  explicit Child(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

/// An awaitable nop that fills its SQE when it is made.
class Nop {
 public:
  explicit Nop(io_uring& ring) noexcept {
    io_uring_sqe* const sqe = raw_sqe(&ring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data(sqe, this);
  }
  Nop(Nop&&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { coroutine_ = coroutine; }
  int await_resume() const noexcept { return result_; }

  void complete(int result) noexcept {
    result_ = result;
    coroutine_.resume();  // after this, the Nop is destroyed
  }

 private:
  std::coroutine_handle<> coroutine_;
  int result_ = 0;
};

struct Nops {
  io_uring ring{};
  std::uint64_t left = 0;
  int error = 0;
};

Detached nops(Nops& shared) {
  while (shared.left > 0) {
    --shared.left;
    const int result = co_await Nop(shared.ring);
    if (result < 0) shared.error = result;
  }
}

Detached count_one(std::uint64_t& done) {
  ++done;
  co_return;
}
Child count_one_more(std::uint64_t& done) {
  ++done;
  co_return;
}
Detached await_many(std::uint64_t count, std::uint64_t& done) {
  for (std::uint64_t i = 0; i < count; ++i) co_await count_one_more(done);
}

}  // namespace

std::int64_t nop(unsigned depth, std::uint64_t operations) {
  Nops shared{.left = operations};
  if (const int opened = raw_open(&shared.ring); opened < 0) return opened;
  const std::int64_t begin = raw_now();
  for (unsigned i = 0; i < depth; ++i) nops(shared).coroutine.resume();
  for (std::uint64_t done = 0; done < operations && shared.error == 0;) {
    const int submitted = io_uring_submit_and_wait(&shared.ring, 1);
    if (submitted < 0) shared.error = submitted;
    io_uring_cqe* cqe = nullptr;
    unsigned head = 0, seen = 0;
    io_uring_for_each_cqe(&shared.ring, head, cqe) {
      if (seen == RAW_SQ_ENTRIES) break;
      ++seen;
      static_cast<Nop*>(io_uring_cqe_get_data(cqe))->complete(cqe->res);
    }
    io_uring_cq_advance(&shared.ring, seen);
    done += seen;
  }
  const std::int64_t end = raw_now();
  io_uring_queue_exit(&shared.ring);
  return shared.error < 0 ? shared.error : end - begin;
}

double spawn(std::uint64_t count) {
  std::uint64_t done = 0;
  std::vector<std::coroutine_handle<>> ready;
  const std::int64_t begin = raw_now();
  for (std::uint64_t made = 0; done < count;) {
    for (; made < count && ready.size() < 256; ++made) ready.push_back(count_one(done).coroutine);
    for (const std::coroutine_handle<> coroutine : ready) coroutine.resume();
    ready.clear();
  }
  return static_cast<double>(raw_now() - begin);
}

double await_child(std::uint64_t count) {
  std::uint64_t done = 0;
  const std::int64_t begin = raw_now();
  await_many(count, done).coroutine.resume();
  const std::int64_t end = raw_now();
  if (done != count) throw std::runtime_error("a coroutine did not run");
  return static_cast<double>(end - begin);
}

}  // namespace bench::bare_side
