/// lane_events_test.cpp — the traps in what the kernel reports of its requests, one by one, as recorded
/// lists.
#include "iotrace/lane_events.hpp"

#include <string>
#include <vector>

#include <corering/uring/uapi.hpp>
#include <gtest/gtest.h>

#include "iotrace/tracepoints.hpp"

namespace iotrace {
namespace {

using corering::Opcode;
using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

constexpr std::uint64_t ring = 0xffff'8881'0000'1000, other_ring = 0xffff'8881'0000'2000;
constexpr std::uint64_t first = 0xffff'8882'0000'0100, second = 0xffff'8882'0000'0200;
constexpr std::int32_t owner = 7, helper = 8, stranger = 99;
constexpr std::uint64_t anybody = 0;
constexpr std::uint32_t more = corering::uapi::cqe_more, notification = corering::uapi::cqe_notif;

/// Writes down what a kernel reports, one thing each microsecond.
class Kernel {
 public:
  Kernel& began(std::uint64_t request, std::uint64_t user_data, Opcode opcode = Opcode::read,
                std::uint8_t sqe_flags = 0) {
    LaneEvent event = of(Kind::kernel_began, request, user_data);
    event.opcode = static_cast<std::uint8_t>(opcode);
    event.sqe_flags = sqe_flags;
    return add(event);
  }
  Kernel& ended(std::uint64_t request, std::uint64_t user_data, std::uint32_t cqe_flags = 0,
                Kind kind = Kind::kernel_ended) {
    LaneEvent event = of(kind, request, user_data);
    event.result = -4;
    event.cqe_flags = cqe_flags;
    return add(event);
  }
  Kernel& overflowed(std::uint64_t user_data) { return ended(anybody, user_data, 0, Kind::kernel_overflow); }
  Kernel& does(Kind kind, std::uint64_t request, std::uint64_t user_data) {
    return add(of(kind, request, user_data));
  }
  Kernel& on_thread(std::int32_t tid) {
    tid_ = tid;
    return *this;
  }
  Kernel& in_ring(std::uint64_t which) {
    ring_ = which;
    return *this;
  }
  Kernel& loses(std::uint64_t reports) {
    recording_.lost = reports;
    return *this;
  }
  Kernel& names_no_requests() {
    recording_.names_requests = false;
    return *this;
  }

  [[nodiscard]] LaneRequests requests() {
    recording_.thread_names = {{owner, "fio"}, {helper, "iou-wrk-7"}};
    return join_requests(recording_);
  }

 private:
  LaneEvent of(Kind kind, std::uint64_t request, std::uint64_t user_data) {
    return {.ns = now_ += 1000,
            .ring = ring_,
            .request = request,
            .user_data = user_data,
            .tid = tid_,
            .kind = kind};
  }
  Kernel& add(const LaneEvent& event) {
    recording_.events.push_back(event);
    return *this;
  }

  LaneRecording recording_;
  std::int64_t now_ = 0;
  std::uint64_t ring_ = ring;
  std::int32_t tid_ = owner;
};

/// Returns the numbers of the requests to which the events of this thread belong.
std::vector<std::uint64_t> numbers(const LaneRequests& requests, std::int32_t tid = owner) {
  std::vector<std::uint64_t> all;
  for (const ThreadRecording& thread : requests.threads) {
    if (thread.tid != tid) continue;
    for (const TimedEvent& event : thread.events) all.push_back(event.id);
  }
  return all;
}

using Numbers = std::vector<std::uint64_t>;

TEST(LaneEvents, a_request_is_known_by_its_address_until_it_ends) {
  const LaneRequests got =
      Kernel().began(first, 5).ended(first, 5).began(first, 5).ended(first, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 1, 2, 2}));
  EXPECT_EQ(got.counts.began, 2U);
  EXPECT_EQ(got.counts.ended, 2U);
  ASSERT_EQ(got.times.size(), 1U);
  EXPECT_EQ(got.times[0].ns, (std::vector<std::int64_t>{1000, 1000}));
}

TEST(LaneEvents, two_in_flight_with_the_same_user_data_are_told_apart) {
  const LaneRequests got =
      Kernel().began(first, 5).began(second, 5).ended(second, 5).ended(first, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 2, 2, 1}));
  EXPECT_EQ(got.counts.ended, 2U);
}

TEST(LaneEvents, an_end_carries_the_opcode_and_the_result) {
  const LaneRequests got = Kernel().began(first, 5, Opcode::recv).ended(first, 5, more).requests();
  const TimedEvent& end = got.threads.at(0).events.at(1);
  EXPECT_EQ(end.opcode, static_cast<std::uint8_t>(Opcode::recv));
  EXPECT_EQ(end.a, 5U);
  EXPECT_EQ(static_cast<std::int32_t>(end.b >> 32), -4);
  EXPECT_EQ(static_cast<std::uint32_t>(end.b), more);
}

TEST(LaneEvents, a_begin_carries_the_ring_and_the_flags_of_the_sqe) {
  const LaneRequests got = Kernel().began(first, 5, Opcode::read, corering::uapi::sqe_async).requests();
  const TimedEvent& begin = got.threads.at(0).events.at(0);
  EXPECT_EQ(begin.b >> 56, corering::uapi::sqe_async);
  EXPECT_EQ(begin.b & corering::trace::Event::id_mask, ring & corering::trace::Event::id_mask);
}

// CQE_SKIP_SUCCESS: there is no end to report, and the request is not open for ever.
TEST(LaneEvents, who_asks_for_no_cqe_is_not_open_for_ever) {
  constexpr std::uint8_t skips = corering::uapi::sqe_cqe_skip_success;
  const LaneRequests got =
      Kernel().began(first, 5, Opcode::nop, skips).began(first, 6).ended(first, 6).requests();
  EXPECT_EQ(got.counts.without_cqe, 1U);
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.counts.in_flight, 0U);
  EXPECT_EQ(got.counts.unreported, 0U);
  EXPECT_EQ(Kernel().began(first, 5, Opcode::nop, skips).requests().counts.without_cqe, 1U);
}

TEST(LaneEvents, who_asks_for_no_cqe_may_fail_and_get_one) {
  constexpr std::uint8_t skips = corering::uapi::sqe_cqe_skip_success;
  const LaneRequests got = Kernel().began(first, 5, Opcode::nop, skips).ended(first, 5).requests();
  EXPECT_EQ(got.counts.without_cqe, 0U);
  EXPECT_EQ(got.counts.ended, 1U);
}

// A multishot poll or timeout has CQEs that name no request.
TEST(LaneEvents, a_multishot_has_one_begin_and_many_ends) {
  const LaneRequests got = Kernel()
                               .began(first, 5, Opcode::poll_add)
                               .ended(anybody, 5, more)
                               .ended(anybody, 5, more)
                               .ended(first, 5)
                               .requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 1, 1, 1}));
  EXPECT_EQ(got.counts.began, 1U);
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.counts.cqes, 3U);
  EXPECT_TRUE(got.times.empty()) << "it has no one time";
}

TEST(LaneEvents, two_multishots_with_the_same_user_data_are_not_confused) {
  const LaneRequests got = Kernel()
                               .began(first, 5, Opcode::poll_add)
                               .began(second, 5, Opcode::poll_add)
                               .ended(anybody, 5, more)
                               .ended(first, 5)
                               .ended(anybody, 5, more)
                               .requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 2, 0, 1, 2})) << "the third may be of either";
  EXPECT_EQ(got.counts.in_flight, 1U);
}

// The target of IORING_OP_MSG_RING gets a CQE that belongs to no request of its ring.
TEST(LaneEvents, a_message_of_another_ring_ends_nobody) {
  const LaneRequests got = Kernel().began(first, 5).ended(anybody, 5).ended(first, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 0, 1}));
  EXPECT_EQ(got.counts.foreign, 1U);
  EXPECT_EQ(got.counts.ended, 1U);
}

TEST(LaneEvents, an_overflown_cqe_is_an_end_too) {
  const LaneRequests got =
      Kernel().began(first, 5).began(second, 6).overflowed(5).ended(second, 6).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 2, 1, 2}));
  EXPECT_EQ(got.counts.ended, 2U);
  EXPECT_EQ(got.counts.overflowed, 1U);
}

TEST(LaneEvents, overflown_cqes_of_namesakes_are_counted_though_nobody_knows_whose_they_are) {
  const LaneRequests got = Kernel()
                               .began(first, 5)
                               .began(second, 5)
                               .overflowed(5)
                               .overflowed(5)
                               .began(first, 7)
                               .ended(first, 7)
                               .requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 2, 0, 0, 3, 3}));
  EXPECT_EQ(got.counts.ended, 3U);
  EXPECT_EQ(got.counts.in_flight, 0U);
  EXPECT_EQ(got.counts.unreported, 0U);
}

// The notification is a request of its own, and the address of the send may be used again before it comes.
TEST(LaneEvents, a_zero_copy_send_ends_with_its_notification) {
  const LaneRequests got = Kernel()
                               .began(first, 5, Opcode::send_zc)
                               .ended(first, 5, more)
                               .began(first, 6)
                               .ended(first, 6)
                               .ended(second, 5, notification)
                               .requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 1, 2, 2, 1}));
  EXPECT_EQ(got.counts.ended, 2U);
}

TEST(LaneEvents, the_end_of_a_request_that_began_before_is_nobody_s) {
  const LaneRequests got = Kernel().ended(first, 5).began(second, 5).ended(second, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{0, 1, 1}));
  EXPECT_EQ(got.counts.foreign, 1U);
}

TEST(LaneEvents, what_has_not_ended_yet_is_in_flight) {
  const LaneRequests got = Kernel().began(first, 5).does(Kind::kernel_waits, first, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 1}));
  EXPECT_EQ(got.counts.in_flight, 1U);
}

TEST(LaneEvents, a_lost_end_is_noticed_when_the_address_is_used_again) {
  const LaneRequests got = Kernel().began(first, 5).began(first, 6).ended(first, 6).loses(1).requests();
  EXPECT_EQ(got.counts.unreported, 1U);
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.threads.back().lost, 1U);
}

// IOSQE_ASYNC on a plain ring: a thread of io-wq posts the CQE. Readiness is told by whoever causes it.
TEST(LaneEvents, an_end_may_come_from_another_thread_and_readiness_from_another_program) {
  const LaneRequests got = Kernel()
                               .began(first, 5)
                               .on_thread(stranger)
                               .does(Kind::kernel_ready, first, 5)
                               .on_thread(helper)
                               .ended(first, 5)
                               .requests();
  EXPECT_EQ(numbers(got, owner), (Numbers{1}));
  EXPECT_EQ(numbers(got, helper), (Numbers{1}));
  EXPECT_EQ(numbers(got, 0), (Numbers{1})) << "strangers have no recording of their own";
}

TEST(LaneEvents, the_same_user_data_in_two_rings_is_two_requests) {
  const LaneRequests got = Kernel()
                               .began(first, 5)
                               .in_ring(other_ring)
                               .began(second, 5)
                               .overflowed(5)
                               .in_ring(ring)
                               .overflowed(5)
                               .requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 2, 2, 1}));
}

TEST(LaneEvents, kernels_that_do_not_name_the_request_are_joined_by_user_data) {
  const LaneRequests got =
      Kernel().names_no_requests().began(first, 5).ended(anybody, 5).began(first, 5).requests();
  EXPECT_EQ(numbers(got), (Numbers{1, 1, 2}));
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.counts.in_flight, 1U);
}

TEST(Tracepoints, are_laid_out_as_their_format_says) {
  const auto found = parse_tracepoints(
      "name: io_uring_submit_sqe\nID: 1034\nformat:\n"
      "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
      "\tfield:void * ctx;\toffset:8;\tsize:8;\tsigned:0;\n"
      "\tfield:u8 opcode;\toffset:16;\tsize:1;\tsigned:0;\n"
      "\tfield:u64 user_data;\toffset:24;\tsize:8;\tsigned:0;\n\nprint fmt: \"ring %p\", REC->ctx\n"
      "name: io_uring_complete\nID: 1040\nformat:\n"
      "\tfield:u64 user_data;\toffset:16;\tsize:8;\tsigned:0;\n"
      "\tfield:int res;\toffset:24;\tsize:4;\tsigned:1;\n");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].kind, Kind::kernel_began);
  EXPECT_EQ(found[0].id, 1034U);
  EXPECT_EQ(found[0].opcode.offset, 16U);
  EXPECT_EQ(found[0].user_data.offset, 24U);
  EXPECT_FALSE(found[0].request.is_there());
  EXPECT_EQ(found[1].kind, Kind::kernel_ended);
  EXPECT_EQ(found[1].user_data.offset, 16U);
  EXPECT_EQ(found[1].result.size, 4U);
}

TEST(Tracepoints, that_are_no_description_are_left_out) {
  EXPECT_TRUE(parse_tracepoints("").empty());
  EXPECT_TRUE(parse_tracepoints("name: io_uring_complete\nID: 7\nformat:\n").empty());
}

}  // namespace
}  // namespace iotrace
