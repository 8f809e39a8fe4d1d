/// top_table_test.cpp — what `iotrace top` says about two readings.
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "iotrace/top.hpp"

namespace iotrace {
namespace {

using corering::TimeStats;
using corering::WorkerStats;
using corering::trace::Histogram;

TimeStats times(const char* kind, std::uint64_t errors, const std::vector<std::uint64_t>& all) {
  TimeStats stats{.kind = kind, .errors = errors, .ns_per_tick = 1, .ticks = std::make_shared<Histogram>()};
  for (const std::uint64_t one : all) stats.ticks->add(one);
  return stats;
}

WorkerStats worker(const char* name, std::vector<TimeStats> operations, TimeStats turn) {
  WorkerStats stats{.worker = name};
  stats.in_flight = 17;
  stats.operations = std::move(operations);
  stats.turn = std::move(turn);
  return stats;
}

/// The words of the line that begins so.
std::vector<std::string> line_of(const std::string& table, const std::string& begin) {
  std::smatch found;
  std::vector<std::string> words;
  if (!std::regex_search(table, found, std::regex(begin + " +(.*)\n"))) return words;
  const std::string rest = found[1];
  static const std::regex gap(" {2,}");
  for (std::sregex_token_iterator i(rest.begin(), rest.end(), gap, -1), end; i != end; ++i)
    words.push_back(*i);
  return words;
}

using Words = std::vector<std::string>;
using namespace std::chrono_literals;

TEST(Top, counts_only_what_happened_between_two_readings) {
  const WorkerStats before =
      worker("w", {times("read", 3, {50, 50, 50}), times("send", 0, {9})}, times("turn", 0, {9'000'000}));
  const WorkerStats after =
      worker("w", {times("read", 5, {50, 50, 50, 10, 10, 10, 60}), times("send", 0, {9})},
             times("turn", 0, {9'000'000, 1, 1, 6'000'000}));
  const std::string table = top_table({before}, {after}, 2s);
  EXPECT_EQ(line_of(table, "w +read"), (Words{"2.0", "10 ns", "60 ns", "-", "2", "-"})) << table;
  EXPECT_TRUE(line_of(table, "w +send").empty()) << "nothing was sent meanwhile\n" << table;
  const Words turns = line_of(table, "w +turns");
  ASSERT_EQ(turns.size(), 6U) << table;
  EXPECT_EQ(turns[0], "1.5");
  EXPECT_EQ(turns[3], "17") << "in flight";
  EXPECT_EQ(turns[5], "1") << "stalls";
}

TEST(Top, knows_workers_that_came_meanwhile_or_have_the_same_name) {
  const WorkerStats one = worker("w", {times("nop", 0, {1, 1})}, times("turn", 0, {}));
  const WorkerStats more = worker("w", {times("nop", 0, {1, 1, 1})}, times("turn", 0, {}));
  const std::string table =
      top_table({one, one}, {one, more, worker("new", {times("nop", 0, {1, 1})}, {})}, 1s);
  EXPECT_EQ(line_of(table, "w +nop").front(), "1.0") << table;
  EXPECT_EQ(line_of(table, "new +nop").front(), "2.0") << table;
}

WorkerStats numbered(std::uint64_t number, WorkerStats stats) {
  stats.number = number;
  return stats;
}

TEST(Top, does_not_take_a_worker_for_one_of_its_name_that_has_ended) {
  const WorkerStats ended = numbered(1, worker("w", {times("nop", 0, {1, 1, 1})}, times("turn", 0, {})));
  const WorkerStats stays = numbered(2, worker("w", {times("nop", 0, {1})}, times("turn", 0, {})));
  const WorkerStats later = numbered(2, worker("w", {times("nop", 0, {1, 1, 1})}, times("turn", 0, {})));
  const WorkerStats newer = numbered(3, worker("w", {times("nop", 0, {1, 1, 1, 1})}, times("turn", 0, {})));
  const std::string table = top_table({ended, stays}, {later, newer}, 1s);
  EXPECT_EQ(line_of(table, "w +nop").front(), "2.0") << table;
  EXPECT_NE(table.find(" 4.0 "), std::string::npos) << "the new one has all that it did\n" << table;
}

TEST(Top, has_a_line_for_a_worker_that_does_nothing) {
  const WorkerStats idle = worker("idle", {}, times("turn", 0, {}));
  EXPECT_EQ(line_of(top_table({idle}, {idle}, 1s), "idle +turns"), (Words{"0", "-", "-", "17", "-", "0"}));
}

}  // namespace
}  // namespace iotrace
