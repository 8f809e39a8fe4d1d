/// bench_promises_test.cpp — what the benchmarks say about a promise.
#include <gtest/gtest.h>

#include "harness.hpp"
#include "report.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

Subject takes(std::string name, double nanoseconds) {
  return timed(std::move(name), 1, [nanoseconds](std::uint64_t) { return nanoseconds; });
}

Subject answers(std::string name, double requests) {
  return {.name = std::move(name), .run = [requests] {
            return Metrics{
                {.name = "throughput", .unit = "requests/s", .value = requests, .better = Better::higher}};
          }};
}

/// `ours` takes 120 ns where `theirs` takes 100.
Workload slower_by_a_fifth(double limit) {
  return {.name = "work",
          .parameters = "hard",
          .subjects = {takes("theirs", 100), takes("ours", 120), takes("nobody", 1)},
          .promises = {{"ours", "time", limit, "theirs"}}};
}

Outcome outcome_of(const Workload& workload, unsigned rounds = 6) {
  return measure(workload, rounds).outcomes.at(0);
}

TEST(Promises, are_held_up_to_their_limit) {
  const Outcome outcome = outcome_of(slower_by_a_fifth(1.25));
  EXPECT_EQ(outcome.what, "work, hard, ours: time (ns/operation)");
  EXPECT_EQ(outcome.limit, "<= 1.25 x theirs");
  EXPECT_DOUBLE_EQ(outcome.ratio.median, 1.2);
  EXPECT_TRUE(outcome.is_held);
  EXPECT_TRUE(outcome.is_sure);
}

TEST(Promises, are_missed_beyond_it) {
  const Outcome outcome = outcome_of(slower_by_a_fifth(1.1));
  EXPECT_FALSE(outcome.is_held);
  EXPECT_TRUE(outcome.is_sure);
}

TEST(Promises, of_a_throughput_have_a_lower_limit) {
  Workload workload{
      .name = "work", .parameters = "hard", .subjects = {answers("theirs", 100), answers("ours", 90)}};
  workload.promises = {{"ours", "throughput", 0.95, "theirs"}, {"ours", "throughput", 0.85, "theirs"}};
  const Measured measured = measure(workload, 6);
  EXPECT_EQ(measured.outcomes.at(0).limit, ">= 0.95 x theirs");
  EXPECT_FALSE(measured.outcomes.at(0).is_held);
  EXPECT_TRUE(measured.outcomes.at(1).is_held);
}

TEST(Promises, are_never_sure_after_a_few_rounds) {
  EXPECT_FALSE(outcome_of(slower_by_a_fifth(1.1), 2).is_sure);
}

TEST(Promises, are_not_sure_where_the_rounds_lie_on_both_sides) {
  unsigned run = 0;
  Workload workload = slower_by_a_fifth(1.25);
  workload.subjects[1] = timed("ours", 1, [&run](std::uint64_t) { return ++run % 3 == 0 ? 200.0 : 120.0; });
  const Outcome outcome = outcome_of(workload, 7);
  EXPECT_TRUE(outcome.is_held);
  EXPECT_FALSE(outcome.is_sure);
}

TEST(Promises, that_were_missed_for_sure_are_named_and_fail_the_run) {
  testing::internal::CaptureStdout();
  Report report(false, 6);
  const Workload workload = slower_by_a_fifth(1.1);
  report.add(workload, measure(workload, 6));
  EXPECT_FALSE(report.finish());
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("<= 1.1 x theirs"), std::string::npos) << said;
  EXPECT_NE(said.find("x1.20 (1.20 to 1.20)  MISSED\n"), std::string::npos) << said;
}

TEST(Promises, that_are_held_or_not_sure_do_not_fail_it) {
  testing::internal::CaptureStdout();
  Report report(false, 2);
  for (const double limit : {1.25, 1.1})
    report.add(slower_by_a_fifth(limit), measure(slower_by_a_fifth(limit), 2));
  EXPECT_TRUE(report.finish());
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("(held)\n"), std::string::npos) << said;
  EXPECT_NE(said.find("(MISSED)\n"), std::string::npos) << said;
}

TEST(Promises, are_measured_once_more_without_the_other_subjects) {
  std::vector<Workload> all{slower_by_a_fifth(1.1),
                            {.name = "other", .parameters = "", .subjects = {takes("ours", 1)}}};
  add_promised_workloads(all);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[2].name, "emulated");
  EXPECT_EQ(all[2].parameters, "work, hard");
  ASSERT_EQ(all[2].subjects.size(), 2U);
  EXPECT_EQ(all[2].subjects[0].name, "theirs");
  EXPECT_TRUE(all[2].only_when_named);
}

}  // namespace
}  // namespace bench
