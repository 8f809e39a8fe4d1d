/// accept_stream_test.cpp — streams of connections.
#include <set>
#include <thread>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::arm;
using test::DescriptorLimit;
using test::turns;

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> table_goes_first(const test::Listener& listener, std::vector<Fd>& clients) {
  for (int i = 0; i < 20; ++i) {
    {
      Result<FileTable> table = FileTable::create(4);
      EXPECT_TRUE(table) << table.error().message();
      FixedAcceptStream stream(*table, listener.fd);
      co_await arm(stream);
      clients.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(test::sys::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(4);  // the last reply has come and its slot is free; the table is gone, too
  }
}

TEST(FixedAcceptStream, keeps_a_table_that_is_gone) {
  const test::Listener listener;
  std::vector<Fd> clients;
  run_on_a_worker_here(table_goes_first(listener, clients));
}

Task<void> closes_a_listener_in_use(bool without_descriptors) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Address address = listener->local_address().value();
  std::error_code outcome;
  const auto accepts_one = [](TcpListener& its, std::error_code& how) -> Task<void> {
    const Result<TcpStream> peer = co_await its.accept();
    how = peer ? std::error_code() : peer.error();
  };
  std::optional<DescriptorLimit> none;
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (without_descriptors) {
    const Fd next(test::sys::dup(0));
    none.emplace(static_cast<rlim_t>(next.get()));
    EXPECT_EQ(test::sys::connect(client.get(), address.get(), address.length()), 0);
  }
  JoinHandle<void> accepting = spawn(accepts_one(*listener, outcome));
  co_await turns(5);
  const Result<void> closed = co_await listener->close();
  EXPECT_TRUE(closed);
  co_await std::move(accepting);
  EXPECT_EQ(outcome, std::errc::operation_canceled);
  none.reset();
  EXPECT_TRUE(TcpListener::bind(address)) << "the port is free";
}

TEST(TcpListener, can_be_closed_while_somebody_accepts) {
  run_on_a_worker_here(closes_a_listener_in_use(false));
}

TEST(TcpListener, can_be_closed_while_accept_waits_for_a_descriptor) {
  run_on_a_worker_here(closes_a_listener_in_use(true));
}

Task<void> accepts(int listener, std::atomic<int>& accepted, int count) {
  AcceptStream connections(listener);
  std::vector<Fd> kept;
  while (accepted < count) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    ++accepted;
    kept.push_back(std::move(*next));
  }
}

bool has_room_for_a_descriptor() { return Fd(test::sys::dup(0)).is_open(); }

// There are 256 descriptors, and clients keep coming. The worker must not spin, and must go on when there is
// room.
TEST(AcceptStream, waits_while_there_is_no_descriptor) {
  test::Listener listener;
  std::atomic<int> accepted = 0;
  std::atomic<int> enters = 0;
  test::FaultyKernel kernel;
  kernel.on_enter = [&enters](unsigned) { return ++enters, 0; };
  test::RunningWorker running({.kernel = &kernel});
  const auto wait_for_enters = [&enters](int more) {
    for (const int before = enters; enters - before < more;) std::this_thread::yield();
  };
  constexpr int clients = 300;
  ASSERT_EQ(test::sys::listen(listener.fd.get(), clients), 0);
  std::vector<Fd> connected;
  for (int i = 0; i < clients; ++i) {
    const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)test::sys::connect(client.get(), listener.get(), sizeof listener.address);
    connected.emplace_back(::fcntl(client.get(), F_DUPFD_CLOEXEC, 1000));  // puts it above the limit
  }
  std::optional<DescriptorLimit> few(256);
  auto accepting = running.worker.spawn(accepts(listener.fd.get(), accepted, clients));
  while (has_room_for_a_descriptor()) std::this_thread::yield();
  wait_for_enters(5);  // those that came are counted, and it has found no room
  const int before = accepted;
  ASSERT_LT(before, 256);
  ASSERT_GT(before, 200);
  const TimePoint begin = os::now();
  wait_for_enters(60);
  EXPECT_GT(os::now() - begin, 200ms) << "it looks for room now and then, and pauses in between";
  EXPECT_EQ(accepted, before);
  few.reset();
  sync_wait(std::move(*accepting));
  EXPECT_EQ(accepted, clients);
}

Task<void> accepts_slowly(int listener, int count) {
  AcceptStream connections(listener, 4);
  co_await turns(1);
  std::set<int> numbers;
  std::vector<Fd> kept;
  for (int i = 0; i < count; ++i) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    numbers.insert(next->get());
    kept.push_back(std::move(*next));
    co_await turns(3);
  }
  EXPECT_EQ(numbers.size(), static_cast<std::size_t>(count));
}

TEST(AcceptStream, lets_connections_wait_in_the_backlog_and_loses_none) {
  test::Listener listener;
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(test::sys::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
  }
  run_on_a_worker_here(accepts_slowly(listener.fd.get(), 100));
}

void connect_some(const test::Listener& listener, std::vector<Fd>& clients, int count) {
  for (int i = 0; i < count; ++i) {
    clients.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(test::sys::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
  }
}
Task<void> takes_none_of_a_hundred_at_first(const test::Listener& listener) {
  constexpr int limit = 8, at_a_time = 4, all = 100;
  std::vector<Fd> clients;
  AcceptStream connections(listener.fd.get(), limit);
  co_await arm(connections);
  const int before = test::open_descriptors();
  while (clients.size() < all) {
    connect_some(listener, clients, at_a_time);
    co_await turns(4);
  }
  const int accepted = test::open_descriptors() - before - all;
  EXPECT_GE(accepted, limit);
  EXPECT_LE(accepted, limit + at_a_time) << "the others wait in the kernel's backlog";
  for (int i = 0; i < all; ++i) {
    const Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next);
  }
}

TEST(AcceptStream, takes_no_more_than_its_limit_from_the_backlog) {
  const test::Listener listener;
  run_on_a_worker_here(takes_none_of_a_hundred_at_first(listener));
}

Task<void> closes_what_nobody_took(const test::Listener& listener) {
  std::vector<Fd> clients;
  {
    AcceptStream connections(listener.fd.get());
    (void)co_await with_timeout(Duration::zero(), connections.next());
    for (int i = 0; i < 10; ++i) {
      clients.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(test::sys::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(1);
  }
  co_await turns(5);
}

TEST(AcceptStream, closes_connections_that_nobody_took) {
  test::Listener listener;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(closes_what_nobody_took(listener));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

/// The real kernel, except that the next accepts fail with these errors, one after another.
class RefusingKernel : public test::FaultyKernel {
 public:
  void refuse(std::vector<int> errors) { errors_ = std::move(errors); }
  [[nodiscard]] std::size_t left() const noexcept { return errors_.size(); }

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override {
    std::unique_ptr<KernelRing> inner;
    const int result = FaultyKernel::open_ring(params, inner);
    if (result == 0) ring = std::make_unique<Ring>(*this, std::move(inner));
    return result;
  }

 private:
  class Ring final : public KernelRing {
   public:
    Ring(RefusingKernel& kernel, std::unique_ptr<KernelRing> inner) noexcept
        : kernel_(kernel), inner_(std::move(inner)) {}
    const RingMemory& memory() const noexcept override { return inner_->memory(); }
    int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
              const uapi::GetEventsArg* arg) noexcept override {
      const RingMemory& ring = memory();
      for (unsigned i = 0; i < to_submit; ++i) {
        kernel_.replace(ring.sqes[(*ring.sq_head + i) & (ring.sq_entries - 1)]);
      }
      return inner_->enter(to_submit, min_complete, flags, arg);
    }
    int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override {
      return inner_->register_resource(opcode, arg, count);
    }

   private:
    RefusingKernel& kernel_;
    std::unique_ptr<KernelRing> inner_;
  };

  /// Makes of an accept a nop that fails in the same way.
  void replace(Sqe& sqe) noexcept {
    if (errors_.empty() || static_cast<Opcode>(sqe.opcode) != Opcode::accept) return;
    sqe = {.user_data = sqe.user_data};
    sqe.op_flags = uapi::nop_inject_result;
    sqe.len = static_cast<std::uint32_t>(-errors_.front());
    errors_.erase(errors_.begin());
  }

  std::vector<int> errors_;
};

/// Accepts one connection while the kernel has these errors to tell. Returns false if it cannot tell them.
Task<bool> accepts_in_spite_of(std::vector<int> errors, RefusingKernel& kernel, Result<Fd>& accepted) {
  if (!here::capabilities().has(Feature::nop_inject_result)) co_return false;
  kernel.refuse(std::move(errors));
  const test::Listener listener;
  AcceptStream connections(listener.fd);
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
  accepted = co_await connections.next();
  EXPECT_EQ(kernel.left(), 0U);
  co_return true;
}

TEST(AcceptStream, waits_out_every_error_that_passes) {
  RefusingKernel kernel;
  test::RunningWorker running({.kernel = &kernel});
  Result<Fd> accepted = failure(EIO);
  const std::vector<int> passing = {EPERM, ENETDOWN, EHOSTUNREACH, ETIMEDOUT, ENOBUFS, ECONNABORTED, EPROTO};
  const bool told = sync_wait(*running.worker.spawn(accepts_in_spite_of(passing, kernel, accepted)));
  if (!told) GTEST_SKIP() << "this kernel cannot make a nop fail";
  EXPECT_TRUE(accepted) << accepted.error().message();
}

TEST(AcceptStream, says_what_does_not_pass) {
  RefusingKernel kernel;
  test::RunningWorker running({.kernel = &kernel});
  Result<Fd> accepted = failure(EIO);
  const bool told = sync_wait(*running.worker.spawn(accepts_in_spite_of({EBADF}, kernel, accepted)));
  if (!told) GTEST_SKIP() << "this kernel cannot make a nop fail";
  EXPECT_FALSE(accepted);
  EXPECT_EQ(accepted ? std::error_code() : accepted.error(), std::errc::bad_file_descriptor);
}

}  // namespace
}  // namespace corering
