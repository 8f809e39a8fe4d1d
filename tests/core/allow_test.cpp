/// allow_test.cpp — a worker that may not do everything, see WorkerOptions::allow.
#include <fcntl.h>

#include <corering/engine/ring_resource.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::SocketPair;

class Allowed : public testing::TestWithParam<Kernel*> {
 protected:
  void SetUp() override {
    if (GetParam() == &real_kernel()) NEEDS_IO_URING("its restrictions");
  }
  Worker allowing(std::vector<Opcode> opcodes) {
    return Worker({.allow = std::move(opcodes), .kernel = GetParam()});
  }
};

Task<void> sends_and_receives() {
  const SocketPair pair;
  EXPECT_EQ((co_await async_send(pair.theirs.get(), bytes_of("text"))).value(), 4U);
  std::array<std::byte, 8> into{};
  EXPECT_EQ((co_await async_recv(pair.ours.get(), into)).value(), 4U);
}

Task<void> is_refused_the_rest() {
  const Result<Fd> opened = co_await async_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(opened.error(), std::errc::permission_denied);
  const Result<void> nothing = co_await async_nop();
  EXPECT_EQ(nothing.error(), std::errc::permission_denied);
  const Result<Reply> raw = co_await async_raw({.opcode = static_cast<std::uint8_t>(Opcode::socket)});
  EXPECT_EQ(raw.error(), std::errc::permission_denied);
  constexpr unsigned register_personality = 9;  // the worker may not become another one
  EXPECT_EQ(here::register_resource(register_personality, nullptr, 0), -EACCES);
}

Task<void> sees_a_chain_end() {
  const SocketPair pair;
  std::array<std::byte, 8> into{};
  const auto links = co_await chain(async_nop(), async_recv(pair.ours.get(), into));
  EXPECT_EQ(std::get<0>(*links).error(), std::errc::permission_denied);
  EXPECT_EQ(std::get<1>(*links).error(), std::errc::operation_canceled);
}

Task<void> uses_a_pool() {
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  if (!pool) co_return;  // below 5.19
  const SocketPair pair;
  (void)co_await async_send(pair.theirs.get(), bytes_of("text"));
  const Result<LentBuffer> piece = co_await async_recv(pair.ours.get(), *pool);
  EXPECT_EQ(piece->size(), 4U);
}

Task<void> waits_for_ever() {
  const SocketPair pair;
  std::array<std::byte, 8> into{};
  const Result<std::size_t> got = co_await async_recv(pair.ours.get(), into);
  EXPECT_EQ(got.error(), std::errc::operation_canceled);
}

TEST_P(Allowed, is_what_was_named_and_nothing_else) {
  Worker worker = allowing({Opcode::send, Opcode::recv});
  ASSERT_TRUE(worker.start());
  for (Task<void> (*const story)() : {sends_and_receives, is_refused_the_rest, sees_a_chain_end, uses_a_pool})
    sync_wait(worker.spawn(story()).value());
  JoinHandle<void> waiting = worker.spawn(waits_for_ever()).value();
  waiting.request_cancel();
  sync_wait(std::move(waiting));
}

TEST_P(Allowed, may_be_named_many_times) {
  std::vector<Opcode> opcodes(300, Opcode::send);
  opcodes.push_back(Opcode::recv);
  Worker worker = allowing(opcodes);
  ASSERT_TRUE(worker.start());
  sync_wait(worker.spawn(sends_and_receives()).value());
}

TEST_P(Allowed, is_everything_without_a_list) {
  Worker worker = allowing({});
  ASSERT_TRUE(worker.start());
  EXPECT_TRUE(sync_wait(async_nop().on(worker)));
}

TEST_P(Allowed, opcodes_are_those_that_the_kernel_knows) {
  if (GetParam() == &emulated_kernel()) GTEST_SKIP() << "the emulated kernel differs: it knows all opcodes";
  Worker worker = allowing({static_cast<Opcode>(250)});
  const Result<void> started = worker.start();
  ASSERT_FALSE(started);
  EXPECT_TRUE(started.error().message().starts_with("WorkerOptions::allow names an opcode"))
      << started.error().message();
}

std::string name_of(const testing::TestParamInfo<Kernel*>& kernel) {
  return kernel.param == &real_kernel() ? "io_uring" : "emulated";
}

INSTANTIATE_TEST_SUITE_P(On, Allowed, testing::Values(&real_kernel(), &emulated_kernel()), name_of);

}  // namespace
}  // namespace corering
