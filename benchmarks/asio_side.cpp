/// asio_side.cpp — the workloads of sync and tasks, written with Asio.
#include "asio_side.hpp"

#include <asio.hpp>
#include <asio/experimental/channel.hpp>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "processors.hpp"

namespace bench::asio_side {
namespace {

using asio::awaitable;
using asio::use_awaitable;
using Clock = std::chrono::steady_clock;
using Channel = asio::experimental::channel<void(asio::error_code, int)>;

/// Runs one coroutine that measures itself.
template <class Coroutine>
double measure(Coroutine&& coroutine) {
  asio::io_context context(1);
  double elapsed = 0;
  std::exception_ptr failed;
  asio::co_spawn(context, coroutine(elapsed),
                 [&failed](std::exception_ptr exception) { failed = exception; });
  context.run();
  if (failed) std::rethrow_exception(failed);
  return elapsed;
}

double since(Clock::time_point begin) { return static_cast<double>((Clock::now() - begin).count()); }

awaitable<void> count_one(std::uint64_t& done) {
  ++done;
  co_return;
}

awaitable<void> yield_now() { co_await asio::post(co_await asio::this_coro::executor, use_awaitable); }

awaitable<void> spawn_many(std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t done = 0;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    asio::co_spawn(executor, count_one(done), asio::detached);
    if (i % 256 == 255) co_await yield_now();
  }
  while (done < count) co_await yield_now();
  elapsed = since(begin);
}

awaitable<void> await_many(std::uint64_t count, double& elapsed) {
  std::uint64_t done = 0;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) co_await count_one(done);
  elapsed = since(begin);
}

awaitable<void> answers(Channel& questions, Channel& replies, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const int value = co_await questions.async_receive(use_awaitable);
    co_await replies.async_send(asio::error_code(), value, use_awaitable);
  }
}
awaitable<void> asks(std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  Channel questions(executor, 0), replies(executor, 0);
  asio::co_spawn(executor, answers(questions, replies, count), asio::detached);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    co_await questions.async_send(asio::error_code(), 1, use_awaitable);
    const int reply = co_await replies.async_receive(use_awaitable);
    if (reply != 1) throw std::runtime_error("a wrong reply");
  }
  elapsed = since(begin);
}

awaitable<void> lock_many(std::uint64_t count, double& elapsed) {
  Channel token(co_await asio::this_coro::executor, 1);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!token.try_send(asio::error_code(), 1))
      co_await token.async_send(asio::error_code(), 1, use_awaitable);
    token.try_receive([](auto...) {});
  }
  elapsed = since(begin);
}

awaitable<void> arm_many(std::uint64_t count, double& elapsed) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::uint64_t cancelled = 0;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    timer.expires_after(std::chrono::hours(1));
    timer.async_wait([&cancelled](asio::error_code) { ++cancelled; });
    timer.cancel();
    if (i % 256 == 255) co_await yield_now();
  }
  while (cancelled < count) co_await yield_now();
  elapsed = since(begin);
}

awaitable<void> sleep_a_while(std::chrono::nanoseconds duration, std::uint64_t& woken) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(use_awaitable);
  ++woken;
}
awaitable<void> sleep_many(std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t woken = 0, random = 1;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto duration = std::chrono::nanoseconds((random >> 33) % 100'000'000);
    asio::co_spawn(executor, sleep_a_while(duration, woken), asio::detached);
  }
  while (woken < count) co_await yield_now();
  elapsed = since(begin);
}

awaitable<void> arm_among_others(std::uint64_t pending, std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t random = 1;
  std::vector<asio::steady_timer> others;
  others.reserve(pending);
  for (std::uint64_t i = 0; i < pending; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto minutes = std::chrono::minutes(30 + (random >> 33) % 60);
    others.emplace_back(executor, minutes + std::chrono::nanoseconds(random >> 40));
    others.back().async_wait([](asio::error_code) {});
  }
  co_await arm_many(count, elapsed);
}

awaitable<void> wait_for(asio::steady_timer& event, std::uint64_t& ended) {
  asio::error_code cancelled;
  co_await event.async_wait(asio::redirect_error(use_awaitable, cancelled));
  ++ended;
}
awaitable<void> suspend_until_cancelled(std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t ended = 0;
  asio::steady_timer event(executor, asio::steady_timer::time_point::max());
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) asio::co_spawn(executor, wait_for(event, ended), asio::detached);
  co_await yield_now();
  event.cancel();
  while (ended < count) co_await yield_now();
  elapsed = since(begin);
}

awaitable<void> join_many(std::uint64_t count, double& elapsed) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t done = 0;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; i += 100) {
    asio::steady_timer all(executor, asio::steady_timer::time_point::max());
    int left = 100;
    for (int member = 0; member < 100; ++member) {
      asio::co_spawn(executor, count_one(done), [&left, &all](std::exception_ptr) {
        if (--left == 0) all.cancel();
      });
    }
    asio::error_code ignored;
    co_await all.async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  elapsed = since(begin);
  if (done < count) throw std::runtime_error("members are missing");
}

awaitable<void> count_once(std::atomic<std::uint64_t>& run) {
  run.store(run.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  co_return;
}

}  // namespace

double post(std::uint64_t count, std::uint64_t window, int processor) {
  asio::io_context context(2);  // it is told that there is more than one thread, so it locks
  auto busy = asio::make_work_guard(context);
  std::thread running([&] {
    pin_to(processor);
    context.run();
  });
  std::atomic<std::uint64_t> run = 0;
  const auto begin = Clock::now();
  for (std::uint64_t posted = 0; posted < count;) {
    for (std::uint64_t i = 0; i < window && posted < count; ++i, ++posted) {
      asio::co_spawn(context, count_once(run), asio::detached);
    }
    while (run.load(std::memory_order_acquire) < posted) {
    }
  }
  const double elapsed = since(begin);
  busy.reset();
  running.join();
  return elapsed;
}

double spawn(std::uint64_t n) {
  return measure([n](double& elapsed) { return spawn_many(n, elapsed); });
}
double await_ready_task(std::uint64_t n) {
  return measure([n](double& elapsed) { return await_many(n, elapsed); });
}
double channel_ping_pong(std::uint64_t n) {
  return measure([n](double& elapsed) { return asks(n, elapsed); });
}
double mutex(std::uint64_t n) {
  return measure([n](double& elapsed) { return lock_many(n, elapsed); });
}
double arm_and_disarm(std::uint64_t n) {
  return measure([n](double& elapsed) { return arm_many(n, elapsed); });
}
double many_timers(std::uint64_t n) {
  return measure([n](double& elapsed) { return sleep_many(n, elapsed); });
}
double arm_among(std::uint64_t pending, std::uint64_t n) {
  return measure([pending, n](double& elapsed) { return arm_among_others(pending, n, elapsed); });
}
double suspend_many(std::uint64_t n) {
  return measure([n](double& elapsed) { return suspend_until_cancelled(n, elapsed); });
}
double when_all(std::uint64_t n) {
  return measure([n](double& elapsed) { return join_many(n, elapsed); });
}

}  // namespace bench::asio_side
