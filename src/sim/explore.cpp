/// explore.cpp — going through seeds, shrinking the one that fails, drawing it.
#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unistd.h>
#include <vector>

#include <corering/base/assert.hpp>
#include <corering/sim/explore.hpp>
#include <corering/uring/uapi.hpp>

#include "sim/random.hpp"

/// The sanitizers have it; without them it is null.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace corering::sim {
namespace {

// ---- which seed ----

std::uint64_t seed_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::invalid_argument("'" + std::string(text) + "' is no seed: give a number, as in --seed=17");
  return number;
}

/// The arguments of this program, each with a NUL after it.
std::string arguments() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// ---- the seed of a program that crashes ----

std::atomic<std::uint64_t> running = 0;

void tell_seed() {
  std::array<char, 128> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "corering: seed %llu was running; run it again with --seed=%llu\n",
      static_cast<unsigned long long>(running.load()), static_cast<unsigned long long>(running.load()));
  (void)!::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(length));
}

constexpr std::array<int, 5> crashes = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
std::array<struct sigaction, crashes.size()> handled_before;

// Then the same happens again, for whoever handled it before: a sanitizer, or the system.
void tell_seed_of_crash(int signal, siginfo_t* how, void* /*context*/) {
  tell_seed();
  const auto which = std::ranges::find(crashes, signal) - crashes.begin();
  ::sigaction(signal, &handled_before[static_cast<std::size_t>(which)], nullptr);
  if (how->si_code <= 0) (void)::raise(signal);  // somebody has sent it
}

/// While it lives, a crash tells the seed, and so does a sanitizer that ends the program.
class TellsSeed {
 public:
  TellsSeed() noexcept {
    struct sigaction tells{};
    tells.sa_sigaction = tell_seed_of_crash;
    tells.sa_flags = SA_SIGINFO;
    for (std::size_t i = 0; i < crashes.size(); ++i) ::sigaction(crashes[i], &tells, &handled_before[i]);
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_seed);
  }
  TellsSeed(TellsSeed&&) = delete;
  ~TellsSeed() {
    for (std::size_t i = 0; i < crashes.size(); ++i) ::sigaction(crashes[i], &handled_before[i], nullptr);
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(nullptr);
  }
};

// ---- running and shrinking ----

using Program = std::function<RunReport(const WorldOptions&)>;

/// What is run, and is made smaller.
struct Trial {
  std::uint64_t seed;
  Faults faults;
  std::uint64_t power_cut_after = 0;
};

RunReport run_once(const Program& program, const ExploreOptions& options, const Trial& trial) {
  running = trial.seed;
  return program({.seed = trial.seed,
                  .workers = options.workers,
                  .faults = trial.faults,
                  .power_cut_after = trial.power_cut_after});
}

RunReport failure_of(const World& world, const std::string& what) {
  RunReport report = world.report();
  report.failure = "exception: " + what;
  return report;
}

/// Runs a program in one world.
RunReport run_in_world(const std::function<RunReport(World&)>& program, const WorldOptions& options) {
  World world(options);
  try {
    return program(world);
  } catch (const std::exception& thrown) {
    return failure_of(world, thrown.what());
  } catch (...) {
    return failure_of(world, "it is no std::exception");
  }
}

Faults drawn_faults(const ExploreOptions& options, std::uint64_t seed) noexcept {
  Faults faults = Faults::swarm(seed);
  for (const Fault fault : options.never) faults.forget(fault);
  return faults;
}

/// Without the hits of the run before.
Faults fresh(Faults faults) noexcept {
  for (std::size_t i = 0; i < fault_count; ++i) faults[static_cast<Fault>(i)].hits = 0;
  return faults;
}

/// Looks for a smaller run that still fails.
class Shrinking {
 public:
  Shrinking(const Program& program, const ExploreOptions& options, FailedSeed& failed)
      : program_(program),
        options_(options),
        failed_(failed),
        smallest_{failed.seed, fresh(failed.report.faults), failed.power_cut_after} {}

  void go() {
    take_kinds_away();
    cut_power_earlier();
    take_kinds_away();
    for (std::size_t i = 0; i < fault_count; ++i) halve(static_cast<Fault>(i));
  }

 private:
  bool still_fails(const Trial& trial) {
    ++failed_.runs;
    RunReport report = run_once(program_, options_, trial);
    if (report.is_good()) return false;
    failed_.report = std::move(report);
    failed_.power_cut_after = trial.power_cut_after;
    smallest_ = trial;
    return true;
  }

  // One that was needed may no longer be when others are gone.
  void take_kinds_away() {
    std::size_t before = 0;
    do {
      before = smallest_.faults.kinds();
      for (std::size_t i = 0; i < fault_count; ++i) try_without(static_cast<Fault>(i));
    } while (smallest_.faults.kinds() < before);
  }

  void try_without(Fault fault) {
    Trial fewer = smallest_;
    fewer.faults.forget(fault);
    if (smallest_.faults[fault].one_in > 0) (void)still_fails(fewer);
  }

  void halve(Fault fault) {
    Trial fewer = smallest_;
    FaultRule& rule = fewer.faults[fault];
    do {
      rule.budget = std::min(smallest_.faults[fault].budget, failed_.report.faults[fault].hits) / 2;
    } while (rule.one_in > 0 && rule.budget > 0 && still_fails(fewer));
  }

  void cut_power_earlier() {
    Trial earlier = smallest_;
    const std::uint64_t now = smallest_.power_cut_after;
    for (std::uint64_t changes = 1; changes < now; ++changes) {
      earlier.power_cut_after = changes;
      if (still_fails(earlier)) return;
    }
  }

  const Program& program_;
  const ExploreOptions& options_;
  FailedSeed& failed_;
  Trial smallest_;
};

}  // namespace

std::optional<std::uint64_t> wanted_seed() {
  if (const char* const set = std::getenv("CORERING_SEED"); set != nullptr) return seed_in(set);
  constexpr std::string_view option = "--seed=";
  const std::string all = arguments();
  for (std::size_t at = 0; at < all.size();) {
    const std::string_view one(all.c_str() + at);
    if (one.starts_with(option)) return seed_in(one.substr(option.size()));
    at += one.size() + 1;
  }
  return std::nullopt;
}

namespace {

/// Goes through the seeds. `most_changes` is 0 if the power stays on.
std::optional<FailedSeed> explore_trials(const Program& program, ExploreOptions options,
                                         std::uint64_t most_changes) {
  if (const auto only = wanted_seed(); only) {
    options.first = *only;
    options.seeds = 1;
  }
  CORERING_ASSERT(options.seeds > 0, "without a seed nothing would be tried");
  const TellsSeed tells;
  for (std::uint64_t seed = options.first; seed - options.first < options.seeds; ++seed) {
    Trial trial{.seed = seed, .faults = drawn_faults(options, seed)};
    if (most_changes > 0) trial.power_cut_after = 1 + Random(seed ^ 0xc0ff).below(most_changes);
    RunReport report = run_once(program, options, trial);
    if (report.is_good()) continue;
    FailedSeed failed{.seed = seed, .report = std::move(report), .kinds = trial.faults.kinds()};
    failed.power_cut_after = trial.power_cut_after;
    failed.first_failure = failed.report.failure;
    Shrinking(program, options, failed).go();
    return failed;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FailedSeed> explore(const std::function<RunReport(World&)>& program,
                                  const ExploreOptions& options) {
  CORERING_ASSERT(program != nullptr, "explore() was called without a program");
  const auto in_world = [&program](const WorldOptions& world) { return run_in_world(program, world); };
  return explore_trials(in_world, options, 0);
}

std::optional<FailedSeed> explore_power_cuts(const Program& program, const ExploreOptions& options) {
  CORERING_ASSERT(program != nullptr, "explore_power_cuts() was called without a program");
  CORERING_ASSERT(options.most_changes > 0, "the power goes off after one change at least");
  return explore_trials(program, options, options.most_changes);
}

namespace {

/// The first line without its numbers, which change when there are fewer faults.
std::string words_of(std::string_view text) {
  std::string line(text.substr(0, text.find('\n')));
  std::erase_if(line, [](unsigned char c) { return std::isdigit(c) != 0; });
  return line;
}

}  // namespace

std::string FailedSeed::to_string() const {
  const std::string number = std::to_string(seed);
  std::string text = "seed " + number + " failed: " + report.failure + "\n";
  if (power_cut_after > 0)
    text += "the power goes off after " + std::to_string(power_cut_after) + " changes of files\n";
  if (words_of(first_failure) != words_of(report.failure))
    text += "with all of its faults it failed otherwise: " + first_failure + "\n";
  return text + "of " + std::to_string(kinds) + " kinds of faults it needs " +
         std::to_string(report.faults.kinds()) + " (found in " + std::to_string(runs) + " runs):\n" +
         report.faults.to_string() + "run it again with --seed=" + number + " or CORERING_SEED=" + number +
         "\n" + diagram_of(report);
}

// ---- the diagram ----

namespace {

std::string call_name(std::int32_t opcode) {
  return std::string(name_of(static_cast<Opcode>(static_cast<std::uint8_t>(opcode))));
}

std::string on_descriptor(const Happening& event) {
  return event.fd < 0 ? "" : " (fd " + std::to_string(event.fd) + ")";
}

std::string result_of(std::int32_t result) {
  return result < 0 ? std::string("-") + strerrorname_np(-result) : std::to_string(result);
}

std::string line_of_test(const Happening& event) {
  const std::string what = std::to_string(event.what);
  if (event.kind == Happening::Kind::signal) return "Note over T: signal " + what;
  if (event.kind == Happening::Kind::note) return "Note over T: note " + what;
  return "Note over T: child " + what + ": " + std::to_string(event.result);
}

std::string line_of(const Happening& event) {
  const std::string worker = "W" + std::to_string(event.worker);
  switch (event.kind) {
    case Happening::Kind::call:
      return worker + "->>K: " + call_name(event.what) + on_descriptor(event) +
             (event.result == -EINPROGRESS ? "" : " = " + result_of(event.result));
    case Happening::Kind::waits:
      return "Note over K: " + call_name(event.what) + on_descriptor(event) + " waits";
    case Happening::Kind::lent:
      return "Note over K: a helper has " + call_name(event.what);
    case Happening::Kind::ready:
      return "K-->>" + worker + ": " + call_name(event.what) + on_descriptor(event) + " can go on";
    case Happening::Kind::arrives:
      return "Note over K: " + result_of(event.result) + " arrives" + on_descriptor(event);
    case Happening::Kind::jump:
      return "Note over K: nothing can run, time goes on";
    case Happening::Kind::fault:
      return "Note over K: fault " + std::string(name_of(static_cast<Fault>(event.what)));
    case Happening::Kind::outside:
      return "Note over T: function " + std::to_string(event.what);
    case Happening::Kind::signal:
    case Happening::Kind::child:
    case Happening::Kind::note:
      return line_of_test(event);
    case Happening::Kind::power_off:
      return "Note over K: the power goes off";
    case Happening::Kind::restart:
      return "Note over K: the machine starts again";
    case Happening::Kind::turn:
      break;
  }
  return "Note over " + worker + ": turn";
}

}  // namespace

std::string diagram_of(const RunReport& report, std::size_t most) {
  std::vector<Happening> shown;
  std::ranges::copy_if(report.newest, std::back_inserter(shown),
                       [](const Happening& event) { return event.kind != Happening::Kind::turn; });
  const std::size_t from = shown.size() - std::min(shown.size(), most);
  std::string text = "sequenceDiagram\n  participant T as test\n";
  std::uint16_t workers = 1;
  for (const Happening& event : shown) workers = std::max<std::uint16_t>(workers, event.worker + 1);
  for (unsigned i = 0; i < workers; ++i)
    text += "  participant W" + std::to_string(i) + " as worker " + std::to_string(i) + "\n";
  text += "  participant K as kernel\n";
  for (std::size_t i = from; i < shown.size(); ++i) text += "  " + line_of(shown[i]) + "\n";
  return text;
}

}  // namespace corering::sim
