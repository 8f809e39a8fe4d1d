/// task_workloads.cpp — tasks, timers and synchronisation, compared with Asio.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "asio_side.hpp"
#include "bare_side.hpp"
#include "our_side.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

using namespace corering;

Task<void> count_one(std::uint64_t& done) {
  ++done;
  co_return;
}

Task<void> spawn_many(std::uint64_t count, double& elapsed) {
  std::uint64_t done = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    spawn(count_one(done)).detach();
    if (i % 256 == 255) (void)co_await sleep_for(Duration::zero());
  }
  while (done < count) (void)co_await sleep_for(Duration::zero());
  elapsed = since(begin);
}

Task<void> await_many(std::uint64_t count, double& elapsed) {
  std::uint64_t done = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) co_await count_one(done);
  elapsed = since(begin);
}

Task<void> answers(Channel<int>& questions, Channel<int>& replies, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const Result<int> value = co_await questions.receive();
    (void)co_await replies.send(*value);
  }
}
Task<void> asks(std::uint64_t count, double& elapsed) {
  Channel<int> questions(0), replies(0);
  JoinHandle<void> answering = spawn(answers(questions, replies, count));
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    (void)co_await questions.send(1);
    const Result<int> reply = co_await replies.receive();
    if (reply != 1) throw std::runtime_error("a wrong reply");
  }
  elapsed = since(begin);
  co_await std::move(answering);
}

Task<void> lock_many(std::uint64_t count, double& elapsed) {
  Mutex mutex;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    const Result<Mutex::Guard> guard = co_await mutex.lock();
    if (!guard) throw std::system_error(guard.error());
  }
  elapsed = since(begin);
}

Task<void> arm_many(std::uint64_t count, double& elapsed) {
  std::uint64_t done = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i)
    (void)co_await with_timeout(std::chrono::hours(1), count_one(done));
  elapsed = since(begin);
  if (done < count) throw std::runtime_error("a deadline passed an hour too early");
}

Task<void> sleep_a_while(Duration duration, std::uint64_t& woken) {
  const Result<void> slept = co_await sleep_for(duration);
  if (slept) ++woken;
}
Task<void> sleep_many(std::uint64_t count, double& elapsed) {
  std::uint64_t woken = 0, random = 1;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    spawn(sleep_a_while(Duration((random >> 33) % 100'000'000), woken)).detach();
  }
  while (woken < count) (void)co_await sleep_for(Duration::zero());
  elapsed = since(begin);
}

/// Does the same as arm_many, while `pending` tasks sleep, some of them for less than the deadlines and some
/// for more.
Task<void> arm_among(std::uint64_t pending, std::uint64_t count, double& elapsed) {
  std::uint64_t woken = 0, random = 1;
  for (std::uint64_t i = 0; i < pending; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto minutes = std::chrono::minutes(30 + (random >> 33) % 60);
    spawn(sleep_a_while(minutes + Duration(random >> 40), woken)).detach();
  }
  (void)co_await sleep_for(Duration::zero());
  co_await arm_many(count, elapsed);
  if (woken > 0) throw std::runtime_error("a sleeper has woken half an hour too early");
}

Task<void> wait_for(Event& event, std::uint64_t& ended) {
  (void)co_await event.wait();
  ++ended;
}
Task<void> suspend_many(std::uint64_t count, double& elapsed) {
  std::uint64_t ended = 0;
  Event event;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) spawn(wait_for(event, ended)).detach();
  (void)co_await sleep_for(Duration::zero());
  event.set();
  while (ended < count) (void)co_await sleep_for(Duration::zero());
  elapsed = since(begin);
}

Task<void> join_many(std::uint64_t count, double& elapsed) {
  std::uint64_t done = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; i += 100) {
    std::vector<Task<void>> members;
    members.reserve(100);
    for (int member = 0; member < 100; ++member) members.push_back(count_one(done));
    (void)co_await when_all(std::move(members));
  }
  elapsed = since(begin);
  if (done < count) throw std::runtime_error("members are missing");
}

/// Compares a coroutine of ours with the function of Asio's side.
template <class Asio, class Coroutine>
Workload row(const char* name, const std::string& parameters, std::uint64_t operations, Asio asio,
             Coroutine coroutine, bool core = true) {
  const auto ours = [coroutine](std::uint64_t n) {
    return measure_one([coroutine, n](double& elapsed) { return coroutine(n, elapsed); });
  };
  return {.name = name,
          .parameters = parameters,
          .subjects = {timed("asio", operations, asio), timed("corering", operations, ours)},
          .core = core};
}

/// Does the same, and adds `bare`.
template <class... Rest>
Workload row_beside_bare(const char* name, const std::string& parameters, std::uint64_t operations,
                         double (*bare)(std::uint64_t), Rest... rest) {
  Workload workload = row(name, parameters, operations, rest...);
  workload.subjects.push_back(timed("bare", operations, bare));
  return workload;
}

Workload pending_timers(std::uint64_t pending) {
  const auto asio = [pending](std::uint64_t n) { return asio_side::arm_among(pending, n); };
  const auto ours = [pending](std::uint64_t n, double& elapsed) { return arm_among(pending, n, elapsed); };
  return row("pending_timers", std::to_string(pending) + " pending", 200'000, asio, ours, false);
}

/// Small numbers are measured repeatedly until the time is long enough.
Workload tasks(std::uint64_t count) {
  const std::uint64_t times = std::max<std::uint64_t>(1, 100'000 / count);
  const auto again = [times, count](const auto& once) {
    return [times, count, once](std::uint64_t) {
      double sum = 0;
      for (std::uint64_t i = 0; i < times; ++i) sum += once(count);
      return sum;
    };
  };
  const auto ours = [](std::uint64_t n) {
    return measure_one([n](double& elapsed) { return suspend_many(n, elapsed); });
  };
  return {.name = "tasks",
          .parameters = std::to_string(count) + " suspended",
          .subjects = {timed("asio", times * count, again(asio_side::suspend_many)),
                       timed("corering", times * count, again(ours))},
          .core = false};
}

}  // namespace

void add_task_workloads(std::vector<Workload>& all) {
  all.push_back(row_beside_bare("spawn", "create, run, destroy", 1'000'000, bare_side::spawn,
                                asio_side::spawn, spawn_many));
  all.push_back(row_beside_bare("await", "a task that ends at once", 3'000'000, bare_side::await_child,
                                asio_side::await_ready_task, await_many));
  all.push_back(row("channel", "round trip of two tasks", 500'000, asio_side::channel_ping_pong, asks));
  all.push_back(row("mutex", "uncontended", 3'000'000, asio_side::mutex, lock_many));
  all.push_back(row("timer", "arm and disarm", 1'000'000, asio_side::arm_and_disarm, arm_many));
  all.push_back(row("timers", "a million sleep 0 to 100 ms", 1'000'000, asio_side::many_timers, sleep_many));
  all.push_back(row("when_all", "member, groups of 100", 1'000'000, asio_side::when_all, join_many));
  for (std::uint64_t count = 10; count <= 1'000'000; count *= 10) all.push_back(pending_timers(count));
  for (std::uint64_t count = 10; count <= 1'000'000; count *= 10) all.push_back(tasks(count));
}

}  // namespace bench
