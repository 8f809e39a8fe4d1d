/// move_assignment_test.cpp — what is assigned over gives back at once what it had, and not when the other
/// dies.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

Task<void> assigns_locks() {
  Semaphore semaphore(2);
  Result<Semaphore::Permit> one = co_await semaphore.acquire();
  Result<Semaphore::Permit> two = co_await semaphore.acquire();
  *one = std::move(*two);
  EXPECT_EQ(semaphore.available(), 1U);
  Mutex first, second;
  Result<Mutex::Guard> guard = co_await first.lock();
  Result<Mutex::Guard> other = co_await second.lock();
  *guard = std::move(*other);
  EXPECT_FALSE(first.is_locked());
  EXPECT_TRUE(second.is_locked());
  Mutex::Guard& itself = *guard;
  itself = std::move(*guard);
  EXPECT_TRUE(second.is_locked()) << "assigned to itself";
}
TEST(MoveAssignment, of_a_permit_or_a_guard_gives_the_old_one_back_at_once) {
  test::run_on_a_worker_here(assigns_locks());
}

Task<void> assigns_buffers() {
  BufferPool pool = BufferPool::create({.count = 2, .size = 16}).value();
  Pipe pipe = Pipe::create().value();
  EXPECT_TRUE(co_await pipe.writer.write_all("one"));
  Result<LentBuffer> one = co_await async_read(pipe.reader.fd(), pool, current_position);
  EXPECT_TRUE(co_await pipe.writer.write_all("two"));
  Result<LentBuffer> two = co_await async_read(pipe.reader.fd(), pool, current_position);
  EXPECT_EQ(pool.lent(), 2U);
  *one = std::move(*two);
  EXPECT_EQ(pool.lent(), 1U);
  EXPECT_EQ(one->text(), "two");
  RegisteredBuffers table = RegisteredBuffers::create({.count = 2, .size = 4096}).value();
  FixedBuffer left = table.lend(), right = table.lend();
  left = std::move(right);
  EXPECT_EQ(table.lent(), 1U);
}
TEST(MoveAssignment, of_a_lent_buffer_gives_the_old_one_back_at_once) {
  test::run_on_a_worker_here(assigns_buffers());
}

Task<void> assigns_files() {
  FileTable table = FileTable::create(4).value();
  Result<FixedFile> one = co_await async_socket(table, AF_UNIX, SOCK_STREAM, 0);
  Result<FixedFile> two = co_await async_socket(table, AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(table.used(), 2U);
  *one = std::move(*two);
  EXPECT_EQ(table.used(), 1U);
}
TEST(MoveAssignment, of_a_fixed_file_frees_the_old_slot_at_once) {
  test::run_on_a_worker_here(assigns_files());
}

Task<void> holds(std::shared_ptr<int> what) {
  (void)co_await sleep_until(TimePoint::max());
  EXPECT_NE(what, nullptr);
}
AsyncGenerator<int> yields(std::shared_ptr<int> what) { co_yield *what; }

TEST(MoveAssignment, of_a_task_or_a_generator_destroys_the_old_one_at_once) {
  const auto held = std::make_shared<int>(1);
  Task<void> one = holds(held), two = holds(nullptr);
  one = std::move(two);
  EXPECT_EQ(held.use_count(), 1);
  AsyncGenerator<int> first = yields(held), second = yields(nullptr);
  first = std::move(second);
  EXPECT_EQ(held.use_count(), 1);
}

Task<void> assigns_streams() {
  const int before = test::open_descriptors();
  {
    const test::SocketPair pair;
    Multishot<Answer<Fd>> one(Request{.fd = pair.ours.get(), .head = head(Opcode::accept)});
    Multishot<Answer<Fd>> two(Request{.fd = pair.theirs.get(), .head = head(Opcode::accept)});
    one = std::move(two);
    const Result<Reply> reply = co_await one.next();
    EXPECT_TRUE(reply && reply->res == -EINVAL) << "it does not listen";
  }
  EXPECT_EQ(test::open_descriptors(), before);
}
TEST(MoveAssignment, of_a_stream_leaves_one_stream) { test::run_on_a_worker_here(assigns_streams()); }

// The old handle's task is detached at the assignment: it ends with nobody to keep its result for.
Task<void> assigns_handles() {
  const auto held = std::make_shared<int>(1);
  const auto carries = [](std::shared_ptr<int> value) -> Task<std::shared_ptr<int>> { co_return value; };
  JoinHandle<std::shared_ptr<int>> one = spawn(carries(held));
  JoinHandle<std::shared_ptr<int>> two = spawn(carries(nullptr));
  co_await test::turns(2);
  EXPECT_TRUE(one.done() && two.done());
  EXPECT_EQ(held.use_count(), 2);
  one = std::move(two);
  EXPECT_EQ(held.use_count(), 1);
  const std::shared_ptr<int> got = co_await std::move(one);
  EXPECT_EQ(got, nullptr);
}
TEST(MoveAssignment, of_a_join_handle_detaches_the_old_task_at_once) {
  test::run_on_a_worker_here(assigns_handles());
}

}  // namespace
}  // namespace corering
