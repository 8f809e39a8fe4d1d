/// power_cut_test.cpp — a program that loses its power, starts again, and is made to fail with as little as
/// possible.
#include <algorithm>
#include <stdexcept>
#include <string>

#include <corering/corering.hpp>
#include <corering/sim/explore.hpp>
#include <corering/sim/power_cut.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

/// Four changes: a name, a write, a sync of the file, a sync of the names.
Task<void> writes_safely(sim::World& world) {
  const Result<File> file = co_await File::create("/tmp/f");
  if (!file) co_return;
  const Result<void> written = co_await file->write_all_at("content", 0);
  if (!written) co_return;
  const Result<void> synced = co_await file->sync();
  const Result<File> names = co_await File::open("/tmp");
  if (!synced || !names) co_return;
  const Result<void> named = co_await names->sync();
  if (named) world.note(1);
}

Task<void> reads_into(std::string& text) {
  const Result<std::string> got = co_await read_to_string("/tmp/f");
  text = got ? *got : got.error().message();
}

struct Outcome {
  sim::RunReport report;
  std::string text;
};

Outcome run_and_lose_everything(std::uint64_t power_cut_after) {
  sim::WorldOptions options{.power_cut_after = power_cut_after};
  options.faults[sim::Fault::lost_unsynced] = {.one_in = 1, .budget = 1000};
  Outcome outcome;
  outcome.report = sim::run_with_power_cut(options, writes_safely,
                                           [&outcome](sim::World&) { return reads_into(outcome.text); });
  EXPECT_EQ(outcome.report.failure, "");
  return outcome;
}

std::ptrdiff_t count_of(const Outcome& outcome, sim::Happening::Kind kind) {
  return std::ranges::count(outcome.report.newest, kind, &sim::Happening::kind);
}

TEST(SimPowerCut, the_second_world_finds_what_was_synced_before_the_cut) {
  EXPECT_EQ(run_and_lose_everything(3).text, "No such file or directory");
  EXPECT_EQ(run_and_lose_everything(4).text, "No such file or directory") << "the last sync is the cut";
  EXPECT_EQ(run_and_lose_everything(5).text, "content");
  EXPECT_EQ(run_and_lose_everything(0).text, "content");
}

TEST(SimPowerCut, the_report_tells_of_both_worlds) {
  const Outcome cut = run_and_lose_everything(3);
  EXPECT_TRUE(cut.report.power_was_cut);
  EXPECT_GT(cut.report.faults[sim::Fault::lost_unsynced].hits, 0U);
  EXPECT_EQ(count_of(cut, sim::Happening::Kind::power_off), 1);
  EXPECT_EQ(count_of(cut, sim::Happening::Kind::restart), 1);
  EXPECT_EQ(count_of(cut, sim::Happening::Kind::note), 0) << "what comes after the cut is not told";
  const Outcome whole = run_and_lose_everything(0);
  EXPECT_FALSE(whole.report.power_was_cut);
  EXPECT_EQ(count_of(whole, sim::Happening::Kind::power_off), 1) << "at the end";
  EXPECT_EQ(count_of(whole, sim::Happening::Kind::note), 1);
}

TEST(SimPowerCut, an_exception_of_either_world_is_a_failure) {
  const auto throws = [](sim::World&) -> Task<void> { throw std::runtime_error("it is gone"); };
  const auto ends = [](sim::World&) -> Task<void> { co_return; };
  EXPECT_EQ(sim::run_with_power_cut({}, throws, ends).failure, "it is gone");
  EXPECT_EQ(sim::run_with_power_cut({}, ends, throws).failure, "it is gone");
}

Task<void> says_what_is_there(const std::string& wanted) {
  std::string text;
  co_await reads_into(text);
  if (text != wanted) throw std::runtime_error(text);
}

TEST(SimPowerCut, the_smallest_run_has_the_earliest_cut) {
  const auto program = [](const sim::WorldOptions& options) {
    const std::string wanted = "content";
    return sim::run_with_power_cut(options, writes_safely,
                                   [&wanted](sim::World&) { return says_what_is_there(wanted); });
  };
  const sim::ExploreOptions options{
      .workers = 1, .never = {sim::Fault::emfile, sim::Fault::enospc, sim::Fault::eio}, .most_changes = 4};
  const auto failed = sim::explore_power_cuts(program, options);
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->power_cut_after, 1U) << "then there is not even a name";
  EXPECT_EQ(failed->report.faults.kinds(), 0U) << failed->to_string();
  EXPECT_NE(failed->to_string().find("the power goes off after 1 changes"), std::string::npos);
}

TEST(SimPowerCut, no_seed_draws_a_fault_that_is_not_wanted) {
  std::uint64_t drawn = 0;
  const auto program = [&drawn](const sim::WorldOptions& options) {
    drawn += options.faults[sim::Fault::misdirected_write].one_in;
    return sim::RunReport();
  };
  EXPECT_FALSE(sim::explore_power_cuts(program).has_value());
  EXPECT_GT(drawn, 0U);
  drawn = 0;
  EXPECT_FALSE(sim::explore_power_cuts(program, {.never = {sim::Fault::misdirected_write}}).has_value());
  EXPECT_EQ(drawn, 0U);
}

}  // namespace
}  // namespace corering
