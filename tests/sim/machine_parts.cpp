/// machine_parts.cpp — names, jobs of a pool, signals and children, with whatever goes wrong.
#include "sim/machine_parts.hpp"

#include <array>
#include <csignal>
#include <netdb.h>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace corering::sim_test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t size_of_output = 5'000, more_than_a_pipe_holds = 100'000;

std::optional<sim::ChildPlan> plan_of(const std::vector<std::string>& arguments) {
  sim::ChildPlan plan{.output = std::string(size_of_output, 'w'), .runs_for = 20ms};
  if (arguments.front() == "talks") {
    plan.output.resize(more_than_a_pipe_holds, 't');
    plan.error = "and something else";
  }
  if (arguments.front() == "sorts") plan.reads_to_the_end = true;
  return plan;
}

bool passes(const std::error_code& error) {
  return is_cancellation(error) || error == std::error_code(EAI_AGAIN, lookup_category());
}

Task<void> looks_up(Program& program) {
  BlockingPool pool({.max_threads = 2});
  for (int i = 0; i < 3; ++i) {
    const auto found = co_await lookup(pool, "echo.test", "80");
    program.expect(found ? found->size() == 1 : passes(found.error()), "a name was not found");
  }
  const Result<int> answer = co_await offload(pool, [] { return 42; });
  program.expect(answer ? *answer == 42 : is_cancellation(answer.error()), "a job has another result");
}

// Another part may take the signal: equal ones that nobody has taken yet count once.
Task<void> awaits_signal(Program& program) {
  Result<Signals> signals = Signals::block({SIGUSR1});
  if (!signals) co_return;
  sim::World& world = program.world;
  world.after(program.some_time(), [&world] { world.send_signal(SIGUSR1); });
  const auto got = co_await with_timeout(1s, signals->next());
  program.expect(!got || *got == SIGUSR1, "a signal is another one");
}

// Without memory for a read that has to wait it reads again: a child whose pipe is full never ends.
Task<std::size_t> reads_to_the_end(PipeReader& from) {
  std::size_t all = 0;
  for (std::array<std::byte, 700> buffer;;) {
    const Result<std::size_t> got = co_await from.read(buffer);
    if (!got && got.error() == std::errc::not_enough_memory) continue;
    if (!got || *got == 0) break;
    all += *got;
  }
  co_return all;
}

/// It may be over before the signal comes.
Task<void> kill_soon(Program& program, Child& child) {
  (void)co_await sleep_for(program.some_time());
  program.expect(child.kill(SIGKILL).has_value(), "a child that nobody has waited for is not there");
}

Task<void> has_a_child(Program& program) {
  const std::array<const char*, 3> programs = {"writes", "talks", "sorts"};
  const std::size_t which = program.world.draw(programs.size());
  constexpr auto pipe = ChildOptions::Stream::pipe;
  const ChildOptions options{.input = which == 2 ? pipe : ChildOptions::Stream::nothing,
                             .output = pipe,
                             .error = which == 1 ? pipe : ChildOptions::Stream::nothing};
  Result<Child> child = Child::spawn({programs[which]}, options);
  if (!child) co_return;
  const bool is_killed = program.world.draw(3) == 0;
  if (is_killed) co_await kill_soon(program, *child);
  if (child->input()) {
    const Result<void> closed = co_await child->input()->close();
    if (!closed) child->input().reset();  // there may be no memory for a close that has to wait
  }
  const std::size_t read = co_await reads_to_the_end(*child->output());
  if (child->error()) (void)co_await reads_to_the_end(*child->error());
  Result<ChildExit> exit;
  if (program.world.draw(4) != 0) exit = co_await child->wait();
  (void)co_await child->output()->close();
  if (child->error()) (void)co_await child->error()->close();
  if (!exit || (!exit->code && !exit->signal)) co_return;  // nobody has waited
  const bool is_as_planned =
      exit->code == 0 && read == (which == 1 ? more_than_a_pipe_holds : size_of_output);
  program.expect(is_as_planned || (is_killed && exit->signal == SIGKILL), "a child has ended in another way");
}

}  // namespace

void set_up_machine(sim::World& world) {
  world.name_host("echo.test", {"127.0.0.1"});
  world.on_spawn(plan_of);
}

Task<void> some_machine_part(Program& program) {
  switch (program.world.draw(3)) {
    case 0:
      return looks_up(program);
    case 1:
      return awaits_signal(program);
    default:
      return has_a_child(program);
  }
}

}  // namespace corering::sim_test
