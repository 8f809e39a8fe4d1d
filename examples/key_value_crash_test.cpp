/// key_value_crash_test.cpp — key_value_crash_test [BUG] [--seed=N]: does the store keep its promises when
/// the power goes off? BUG plants a fault in a copy of it: late-sync, no-directory-sync or no-checksum.
#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <corering/sim/explore.hpp>
#include <corering/sim/power_cut.hpp>

#include "key_value_store.hpp"

using namespace corering;

struct AnswersBeforeItSyncs : Careful {
  static constexpr bool syncs_before_it_answers = false;
};
struct ForgetsTheDirectory : Careful {
  static constexpr bool syncs_the_directory = false;
};
struct TrustsItsLines : Careful {
  static constexpr bool checks_its_lines = false;
};

/// What was put under one key, in order; and how many of these puts were at least made when one had
/// succeeded.
struct History {
  std::vector<std::string> values;
  std::size_t promised = 0;
};
using Histories = std::map<std::string, History>;

/// Before the crash: puts values, and notes what the store has promised.
template <class Care>
static Task<void> put_values(sim::World& world, Histories& histories) {
  auto store = co_await KeyValueStore<Care>::open("/tmp");
  for (int number = 1; store && number <= 20; ++number) {
    const std::string key = "key" + std::to_string(world.draw(3));
    History& history = histories[key];
    history.values.push_back(std::string(1 + world.draw(1000), static_cast<char>('a' + number)));
    const Result<void> put = co_await store->put(key, history.values.back());
    if (!put) break;
    history.promised = history.values.size();
    world.note(number);  // "the put of this number was promised", in the diagram
  }
}

/// After the crash: the value of each key is the last one that was promised, or one that was put after it.
template <class Care>
static Task<void> check_values(const Histories& histories) {
  const auto store = co_await KeyValueStore<Care>::open("/tmp");
  if (!store) throw std::runtime_error("the store cannot be opened: " + store.error().message());
  for (const auto& [key, value] : store->values()) {
    if (!histories.contains(key)) throw std::runtime_error("nobody has put anything under " + key);
  }
  for (const auto& [key, history] : histories) {
    const auto found = store->values().find(key);
    bool is_right = found == store->values().end() && history.promised == 0;
    for (std::size_t i = history.promised; found != store->values().end() && i <= history.values.size(); ++i)
      is_right = is_right || (i > 0 && history.values[i - 1] == found->second);
    if (!is_right) throw std::runtime_error(key + " does not have the value that was promised");
  }
}

template <class Care>
static sim::RunReport run_and_crash(const sim::WorldOptions& options) {
  Histories histories;
  return sim::run_with_power_cut(
      options, [&](sim::World& world) { return put_values<Care>(world, histories); },
      [&](sim::World&) { return check_values<Care>(histories); });
}

int main(int count, char** arguments) {
  const std::map<std::string, sim::RunReport (*)(const sim::WorldOptions&)> programs = {
      {"", run_and_crash<Careful>},
      {"late-sync", run_and_crash<AnswersBeforeItSyncs>},
      {"no-directory-sync", run_and_crash<ForgetsTheDirectory>},
      {"no-checksum", run_and_crash<TrustsItsLines>}};
  const bool has_bug = count > 1 && arguments[1][0] != '-';
  const auto program = programs.find(has_bug ? arguments[1] : "");
  if (program == programs.end() || count > (has_bug ? 3 : 2))
    return std::fputs("usage: key_value_crash_test [late-sync|no-directory-sync|no-checksum] [--seed=N]\n",
                      stderr),
           2;
  // A write that hits other places destroys what was safe. No log can help that, only a second copy.
  const sim::ExploreOptions options{.seeds = 2000, .workers = 1, .never = {sim::Fault::misdirected_write}};
  const std::optional<sim::FailedSeed> failed = sim::explore_power_cuts(program->second, options);
  std::puts(failed ? failed->to_string().c_str() : "every promise was kept, whatever the seed");
  return failed ? 1 : 0;
}
