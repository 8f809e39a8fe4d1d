/// timer_check.cpp — lets a worker wait, and reads how late it was.
#include "timer_check.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <corering/corering.hpp>

namespace tools {
namespace {

using namespace corering;
using namespace std::chrono_literals;

constexpr std::uint64_t waits = 10;

Task<void> polls(const Fd& never_readable) { (void)co_await async_poll(never_readable, POLLIN); }

Task<void> waits_beside_a_poll(const Fd& never_readable) {
  JoinHandle<void> pending = spawn(polls(never_readable));
  for (std::uint64_t i = 0; i < waits; ++i) (void)co_await sleep_for(10ms);
  pending.request_cancel();
  co_await std::move(pending);
}

std::string milliseconds(Duration time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", static_cast<double>(time.count()) * 1e-6);
  return text.data();
}

// Now and then a busy machine is late, too. A kernel at fault is late most of the time.
TimerCheck judged(const WorkerStats& stats) {
  const std::string worst = milliseconds(stats.lateness.quantile(1));
  if (stats.late_waits <= waits / 2)
    return {.says = "this kernel does not hold up waits: of ten that took 10 ms, half ended at most " +
                    milliseconds(stats.lateness.quantile(0.5)) + " late, and the worst " + worst};
  return {
      .state = TimerCheck::State::late,
      .says = std::to_string(stats.late_waits) +
              " of ten waits of 10 ms ended 100 ms late or more, the worst " + worst +
              ": this kernel ends waits late, or no processor is free",
      .advice = "run another kernel (Linux 7.0 does this beside a pending poll), or give the machine rest"};
}

TimerCheck not_tried(const std::string& why, const std::string& advice) {
  return {.state = TimerCheck::State::not_tried,
          .says = "whether waits end on time was not tried: " + why,
          .advice = advice};
}

}  // namespace

TimerCheck check_timers() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return not_tried("there is no descriptor left", "let the process have more of them: ulimit -n");
  const Fd never_readable(ends[0]), other_end(ends[1]);
  Worker worker;
  if (const Result<void> started = worker.start(); !started)
    return not_tried("no worker can run (" + started.error().message() + ")", "see to what is named there");
  sync_wait(worker.spawn(waits_beside_a_poll(never_readable)).value());
  return judged(worker.stats());
}

}  // namespace tools
