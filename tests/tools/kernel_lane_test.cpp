/// kernel_lane_test.cpp — what the kernel lane sees of real rings. It needs root, or the tests are skipped
/// and say why.
#include "iotrace/kernel_lane.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <liburing.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <corering/base/fd.hpp>
#include <gtest/gtest.h>

namespace iotrace {
namespace {

using corering::Fd;
using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

class PlainRing {
 public:
  explicit PlainRing(unsigned entries = 64, unsigned flags = 0) {
    is_open_ = io_uring_queue_init(entries, &ring_, flags) == 0;
  }
  PlainRing(PlainRing&&) = delete;
  ~PlainRing() {
    if (is_open_) io_uring_queue_exit(&ring_);
  }
  [[nodiscard]] bool is_open() const { return is_open_; }
  [[nodiscard]] int descriptor() const { return ring_.ring_fd; }

  io_uring_sqe* sqe(std::uint64_t user_data) {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_nop(sqe);
    sqe->user_data = user_data;
    return sqe;
  }
  void nop(std::uint64_t user_data) { sqe(user_data); }
  void submit() { io_uring_submit(&ring_); }
  /// Submits, and waits for so many CQEs.
  void submit_and_reap(unsigned count) {
    io_uring_submit_and_wait(&ring_, count);
    for (unsigned i = 0; i < count; ++i) {
      io_uring_cqe* cqe = nullptr;
      ASSERT_EQ(io_uring_wait_cqe(&ring_, &cqe), 0);
      io_uring_cqe_seen(&ring_, cqe);
    }
  }
  void do_nops(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      nop(i << 6);
      submit_and_reap(1);
    }
  }

 private:
  io_uring ring_{};
  bool is_open_ = false;
};

class KernelLaneTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!PlainRing().is_open()) GTEST_SKIP() << "io_uring is refused here";
    lane_ = std::make_unique<KernelLane>(KernelLane::Options{.with_processors = false});
    lane_->watch_this_thread();
    if (!lane_->refusal().why.empty()) GTEST_SKIP() << lane_->refusal().why;
  }
  LaneRequests seen() {
    lane_->stop();
    return join_requests(lane_->take());
  }
  static std::size_t count(const LaneRequests& requests, Kind kind) {
    std::size_t found = 0;
    for (const ThreadRecording& thread : requests.threads)
      found += static_cast<std::size_t>(std::ranges::count(thread.events, kind, &TimedEvent::kind));
    return found;
  }

  std::unique_ptr<KernelLane> lane_;
};

TEST_F(KernelLaneTest, joins_every_request_with_its_end) {
  PlainRing ring;
  ring.do_nops(5000);
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.began, 5000U);
  EXPECT_EQ(got.counts.ended, 5000U);
  EXPECT_EQ(got.counts.foreign, 0U);
  ASSERT_EQ(got.times.size(), 1U);
  EXPECT_EQ(got.times[0].opcode, IORING_OP_NOP);
  EXPECT_EQ(got.threads.at(0).tid, ::gettid());
}

TEST_F(KernelLaneTest, tells_rings_with_the_same_user_data_apart) {
  PlainRing one, other;
  one.nop(7);
  other.nop(7);
  one.nop(7);
  one.submit_and_reap(2);
  other.submit_and_reap(1);
  EXPECT_EQ(seen().counts.ended, 3U);
}

TEST_F(KernelLaneTest, knows_who_asked_for_no_cqe) {
  PlainRing ring;
  ring.sqe(1)->flags |= IOSQE_CQE_SKIP_SUCCESS;
  ring.nop(2);
  ring.submit_and_reap(1);
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.without_cqe, 1U);
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.counts.in_flight, 0U);
}

TEST_F(KernelLaneTest, gives_all_cqes_of_a_multishot_to_one_request) {
  PlainRing ring;
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  io_uring_prep_poll_multishot(ring.sqe(0), event.get(), POLLIN);
  ring.submit();
  for (int i = 0; i < 3; ++i) {
    ::eventfd_write(event.get(), 1);
    ring.submit_and_reap(1);
  }
  io_uring_prep_poll_remove(ring.sqe(0), 0);
  ring.submit_and_reap(2);
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.began, 2U);
  EXPECT_EQ(got.counts.ended, 2U);
  EXPECT_EQ(got.counts.cqes, 5U);
}

TEST_F(KernelLaneTest, counts_cqes_that_overflow_as_ends) {
  PlainRing ring(2);  // its CQ has four entries
  for (std::uint64_t i = 0; i < 10; i += 2) {
    ring.nop(i);
    ring.nop(i + 1);
    ring.submit();
  }
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.began, 10U);
  EXPECT_EQ(got.counts.ended, 10U);
  EXPECT_EQ(got.counts.overflowed, 6U);
}

TEST_F(KernelLaneTest, takes_a_message_for_nobody_s_end) {
  PlainRing from, to;
  io_uring_prep_msg_ring(from.sqe(0), to.descriptor(), 0, 77, 0);
  from.submit_and_reap(1);
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(got.counts.cqes, 2U);
  EXPECT_EQ(got.counts.foreign, 1U);
}

TEST_F(KernelLaneTest, sees_the_end_on_a_thread_of_io_wq) {
  PlainRing ring;
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> bytes{};
  io_uring_sqe* const sqe = ring.sqe(0);
  io_uring_prep_read(sqe, file.get(), bytes.data(), bytes.size(), 0);
  sqe->flags |= IOSQE_ASYNC;
  ring.submit_and_reap(1);
  const LaneRequests got = seen();
  EXPECT_EQ(got.counts.ended, 1U);
  EXPECT_EQ(count(got, Kind::kernel_lent), 1U);
  const auto& own = *std::ranges::find(got.threads, ::gettid(), &ThreadRecording::tid);
  EXPECT_EQ(std::ranges::count(own.events, Kind::kernel_ended, &TimedEvent::kind), 0);
}

TEST_F(KernelLaneTest, sees_that_another_thread_made_it_ready) {
  PlainRing ring;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd near(ends[0]), far(ends[1]);
  char byte = 0;
  io_uring_prep_recv(ring.sqe(0), near.get(), &byte, 1, 0);
  ring.submit();
  std::thread([&far] { EXPECT_EQ(::write(far.get(), "x", 1), 1); }).join();
  ring.submit_and_reap(1);
  const LaneRequests got = seen();
  EXPECT_EQ(count(got, Kind::kernel_waits), 1U);
  EXPECT_EQ(count(got, Kind::kernel_ready), 1U);
  EXPECT_EQ(got.counts.ended, 1U);
}

TEST_F(KernelLaneTest, sees_threads_that_start_later) {
  std::thread([] { PlainRing().do_nops(100); }).join();
  EXPECT_EQ(seen().counts.ended, 100U);
}

TEST_F(KernelLaneTest, follows_a_process_that_the_watched_one_starts) {
  const pid_t child = ::fork();
  if (child == 0) {
    PlainRing().do_nops(50);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(seen().counts.ended, 50U);
}

TEST_F(KernelLaneTest, forgets_when_asked) {
  PlainRing ring;
  ring.do_nops(10);
  lane_->forget();
  ring.do_nops(3);
  EXPECT_EQ(join_requests(lane_->collect()).counts.ended, 3U);
  EXPECT_EQ(seen().counts.ended, 3U);
}

TEST_F(KernelLaneTest, watches_only_a_sample) {
  KernelLane sample({.one_in = 4, .with_processors = false});
  sample.watch_this_thread();
  PlainRing().do_nops(64);
  sample.stop();
  EXPECT_EQ(join_requests(sample.take()).counts.ended, 16U);
}

TEST_F(KernelLaneTest, counts_what_found_no_room) {
  KernelLane small({.most_events = 10, .with_processors = false});
  small.watch_this_thread();
  PlainRing().do_nops(100);
  small.stop();
  const LaneRequests got = join_requests(small.take());
  EXPECT_EQ(got.threads.back().lost, 190U);
}

/// A thread that does NOPs until it is stopped.
class BusyThread {
 public:
  BusyThread()
      : thread_([this] {
          PlainRing ring;
          while (!stop_) {
            ring.do_nops(1);
            done_.fetch_add(1);
            std::this_thread::yield();
          }
        }) {}
  ~BusyThread() {
    stop_ = true;
    thread_.join();
  }
  void wait_for_more() const {
    const int before = done_;
    while (done_ < before + 3) std::this_thread::yield();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int> done_ = 0;
  std::thread thread_;
};

TEST_F(KernelLaneTest, attaches_to_a_process_and_drops_what_others_do) {
  lane_->stop();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t other = ::fork();
  if (other == 0) {  // a stranger that is busy until the pipe closes
    ::close(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    PlainRing ring;
    for (char byte = 0; ::read(ends[0], &byte, 1) != 0;) ring.do_nops(1);
    ::_exit(0);
  }
  Fd write_end(ends[1]);
  const Fd read_end(ends[0]);
  for (const bool is_wide : {false, true}) {
    std::vector<std::unique_ptr<BusyThread>> threads;
    for (int i = 0; i < (is_wide ? 40 : 1); ++i) threads.push_back(std::make_unique<BusyThread>());
    KernelLane lane({.with_processors = false});
    lane.watch_process(::getpid());
    threads.front()->wait_for_more();
    threads.clear();
    lane.stop();
    EXPECT_EQ(lane.watches_whole_processors(), is_wide);
    const LaneRecording seen = lane.take();
    EXPECT_GT(seen.events.size(), 2U);
    for (const LaneEvent& event : seen.events) {  // a request may become ready on any thread of the machine
      EXPECT_TRUE(event.kind == Kind::kernel_ready || seen.thread_names.contains(event.tid)) << event.tid;
    }
  }
  write_end.reset();
  ::waitpid(other, nullptr, 0);
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                                std::filesystem::directory_iterator()));
}

std::size_t perf_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t found = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("perf_event") != std::string::npos) ++found;
  }
  return found;
}

TEST_F(KernelLaneTest, leaves_nothing_when_it_detaches) {
  // The fixture's lane keeps the tracepoints switched on, because to switch them off takes the kernel long.
  const BusyThread busy;
  busy.wait_for_more();
  const std::size_t descriptors = open_descriptors();
  const std::size_t mappings = perf_mappings();
  for (int i = 0; i < 100; ++i) {
    KernelLane lane({.only_begin_and_end = true, .with_processors = false});
    lane.watch_process(::getpid());
    if (i % 10 == 0) busy.wait_for_more();
  }
  busy.wait_for_more();
  EXPECT_EQ(open_descriptors(), descriptors);
  EXPECT_EQ(perf_mappings(), mappings);
}

TEST(Processors, of_the_own_threads_are_seen_by_everybody) {
  KernelLane lane;
  lane.watch_new_threads();
  if (!lane.processors_refusal().why.empty()) GTEST_SKIP() << lane.processors_refusal().why;
  std::int32_t sleeper = 0;
  std::thread([&sleeper] {
    sleeper = ::gettid();
    ::usleep(1000);
  }).join();
  lane.stop();
  const LaneRecording seen = lane.take();
  for (const Kind kind : {Kind::cpu_off, Kind::cpu_on}) {
    EXPECT_TRUE(std::ranges::any_of(
        seen.events, [&](const LaneEvent& event) { return event.kind == kind && event.tid == sleeper; }));
  }
}

}  // namespace
}  // namespace iotrace
