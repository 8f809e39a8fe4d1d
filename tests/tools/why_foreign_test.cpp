/// why_foreign_test.cpp — what `iotrace why` can say of a program that recorded nothing itself.
#include "iotrace/why_foreign.hpp"

#include <gtest/gtest.h>

#include "recordings.hpp"

namespace iotrace::test {
namespace {

constexpr std::uint64_t ring = 0x77;

/// One request of a foreign program, by the kernel's reports only.
class Request {
 public:
  Request(Thread& thread, std::uint64_t number, Opcode opcode, std::int64_t began)
      : thread_(thread), number_(number), opcode_(static_cast<std::uint8_t>(opcode)) {
    report(began, Kind::kernel_began, ring);
  }
  Request& at(std::int64_t ns, Kind kind) { return report(ns, kind, ring); }
  void ends(std::int64_t ns, std::int32_t result) { report(ns, Kind::kernel_ended, cqe(result)); }

 private:
  Request& report(std::int64_t ns, Kind kind, std::uint64_t b) {
    thread_.at(ns, kind, number_, 0x1000 + number_, b, opcode_);
    return *this;
  }

  Thread& thread_;
  std::uint64_t number_;
  std::uint8_t opcode_;
};

Explanation why(const Thread& thread, std::size_t index = 0) {
  const Trace trace = make_trace(recording_of({thread}));
  EXPECT_TRUE(is_foreign(trace.operations.at(index)));
  return explain(trace, trace.operations.at(index));
}

bool says(const Explanation& told, std::string_view words) {
  EXPECT_NE(told.text.find(words), std::string::npos) << told.text;
  return told.text.find(words) != std::string::npos;
}

TEST(WhyForeign, says_how_long_the_kernel_took_and_beside_how_many_others) {
  Thread thread("kernel, fio", 7);
  Request one(thread, 1, Opcode::read, 1000);
  Request two(thread, 2, Opcode::read, 1500);
  one.ends(4000, 4096);
  two.ends(5500, 4096);
  EXPECT_TRUE(says(why(thread, 0), "the kernel took 3.0 µs; no other request of the program was in flight"));
  EXPECT_TRUE(says(why(thread, 1), "the kernel took 4.0 µs; 1 other request of the program"));
}

TEST(WhyForeign, names_a_helper_thread) {
  Thread thread("kernel, fio", 7);
  Request(thread, 1, Opcode::read, 1000).at(4000, Kind::kernel_lent).ends(904'000, 4096);
  const Explanation told = why(thread);
  EXPECT_EQ(told.cause, Cause::lent_to_helper);
  EXPECT_TRUE(
      says(told, "after 3.0 µs the kernel gave it to a helper thread (io-wq), and from then it took 900 µs"));
}

TEST(WhyForeign, tells_the_wait_for_readiness_from_the_rest) {
  Thread thread("kernel, server", 7);
  Request(thread, 1, Opcode::recv, 1000)
      .at(2000, Kind::kernel_waits)
      .at(5'002'000, Kind::kernel_ready)
      .ends(5'012'000, 11);
  const Explanation told = why(thread);
  EXPECT_EQ(told.cause, Cause::nothing_unusual);
  EXPECT_TRUE(says(told, "it waited 5.0 ms until its descriptor was ready, and 10 µs from then to its end"));
}

TEST(WhyForeign, names_a_slow_fsync) {
  Thread thread("kernel, db", 7);
  Request(thread, 1, Opcode::fsync, 1000).at(2000, Kind::kernel_lent).ends(8'000'000, 0);
  EXPECT_EQ(why(thread).cause, Cause::slow_sync);
}

TEST(WhyForeign, names_a_processor_that_others_had) {
  Thread thread("kernel, fio", 7);
  Request request(thread, 1, Opcode::read, 1000);
  thread.at(2000, Kind::cpu_off, 7, 1).at(3'000'000, Kind::cpu_on, 7);
  request.ends(3'100'000, 4096);
  EXPECT_EQ(why(thread).cause, Cause::run_queue_delay);
}

TEST(WhyForeign, knows_no_cause_of_a_long_time_in_one_go) {
  Thread thread("kernel, fio", 7);
  Request(thread, 1, Opcode::read, 1000).ends(901'000, 4096);
  const Explanation told = why(thread);
  EXPECT_EQ(told.cause, Cause::nothing_unusual);
  EXPECT_TRUE(says(told, "was with the kernel for 900 µs, without a helper thread or a wait for readiness"));
}

TEST(WhyForeign, says_that_a_request_has_not_ended) {
  Thread thread("kernel, fio", 7);
  Request(thread, 1, Opcode::read, 1000);
  EXPECT_EQ(why(thread).cause, Cause::unfinished);
}

TEST(WhyForeign, says_that_the_program_did_not_record) {
  Thread thread("kernel, fio", 7);
  Request(thread, 1, Opcode::read, 1000).ends(2000, 1);
  const Trace foreign = make_trace(recording_of({thread}));
  EXPECT_NE(unrecorded_of(foreign.operations.at(0)).find("It is not built with corering"), std::string::npos);
  const Trace own = make_trace(recording_of({Thread("worker", 2).begins(1, Opcode::read, 0x100, 0x900)}));
  EXPECT_EQ(unrecorded_of(own.operations.at(0)), "");
}

}  // namespace
}  // namespace iotrace::test
