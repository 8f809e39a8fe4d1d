/// os_helpers_test.cpp — helper threads, waits for children and for futexes, and what is left at the end.
#include <climits>
#include <fstream>
#include <linux/futex.h>
#include <set>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "emulation/os_world_fixture.hpp"

namespace corering::emulation {
namespace {

using Helpers = OsWorldTest;

/// Ends at once, or when a byte comes.
pid_t start_child(int waits_for = -1) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  char byte = 0;
  if (waits_for >= 0 && ::read(waits_for, &byte, 1) != 1) ::_exit(9);
  ::_exit(3);
}

void fill_wait(TestCall& call, idtype_t type, int id, siginfo_t* into, int options) {
  call.sqe.fd = id;
  call.sqe.len = type;
  call.at(address(into));
  call.sqe.file_index = static_cast<std::uint32_t>(options);
}

TEST_F(Helpers, there_are_four_at_most_and_they_end_with_the_world) {
  const TemporaryFile file("0123456789");
  std::vector<std::unique_ptr<TestCall>> calls;
  std::vector<char> into(100);
  const std::size_t before = threads();
  for (std::size_t i = 0; i < into.size(); ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::read, file.fd));
    calls.back()->memory(&into[i], 1).at(i % 10);
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  EXPECT_LE(threads(), before + 4);
  EXPECT_GT(threads(), before);
  for (std::size_t i = 0; i < into.size(); ++i) {
    const Report found = report();
    ASSERT_NE(found.call, nullptr);
    EXPECT_EQ(found.answer.result, 1);
  }
  for (std::size_t i = 0; i < into.size(); ++i) EXPECT_EQ(into[i], static_cast<char>('0' + i % 10));
}

TEST_F(Helpers, no_signal_is_delivered_to_them) {
  const TemporaryFile file("x");
  char byte = 0;
  TestCall call(Opcode::read, file.fd);
  call.memory(&byte, 1).at(0);
  EXPECT_EQ(lend(call).result, 1);
  std::size_t helpers = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::string blocked;
    std::ifstream comm(task.path() / "comm");
    std::getline(comm, name);
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("SigBlk:")) blocked = line.substr(8);
    if (name != "corering-help") continue;
    ++helpers;
    EXPECT_EQ(blocked.substr(0, 4), "ffff") << "of the signals of programs, all are blocked";
  }
  EXPECT_EQ(helpers, 1U);
}

TEST_F(Helpers, what_has_not_begun_is_given_back_and_the_rest_is_reported) {
  const TemporaryFile file("0123456789");
  std::vector<std::unique_ptr<TestCall>> calls;
  std::vector<char> into(64);
  std::size_t lent = 0;
  for (char& byte : into) {
    calls.push_back(std::make_unique<TestCall>(Opcode::fsync, file.fd));
    calls.back()->memory(&byte, 0);
    ASSERT_EQ(world().lend(*calls.back()), 0);
    ++lent;
  }
  for (const auto& call : calls) {
    if (world().take_back(*call) == TakenBack::given_back) --lent;
  }
  for (; lent > 0; --lent) EXPECT_NE(report().call, nullptr);
  EXPECT_FALSE(has_report());
}

TEST_F(Helpers, the_end_reports_what_was_lent_and_takes_nothing_more) {
  const TemporaryFile file("0123456789");
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 32; ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::fsync, file.fd));
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  world().end();
  std::size_t reported = 0;
  for (Report found; world().next(found); ++reported)
    EXPECT_TRUE(found.answer.result == 0 || found.answer.result == -ECANCELED);
  EXPECT_EQ(reported, calls.size());
  TestCall late(Opcode::fsync, file.fd);
  EXPECT_EQ(world().lend(late), -ECANCELED);
}

TEST_F(Helpers, a_child_of_fork_only_destroys_its_copy) {
  const TemporaryFile file("x");
  int error = 0;
  std::unique_ptr<World> own = make_os_world(error, 4);
  TestCall call(Opcode::fsync, file.fd);
  ASSERT_EQ(own->lend(call), 0);
  Report found;
  while (!own->next(found)) own->wait(std::chrono::milliseconds(50));
  const pid_t child = ::fork();
  if (child == 0) {
    own.reset();
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// ---- children ----

using Children = OsWorldTest;

TEST_F(Children, the_end_of_a_child_is_told) {
  Pipe pipe;
  const pid_t child = start_child(pipe.first);
  siginfo_t about{};
  TestCall call(Opcode::waitid);
  fill_wait(call, P_PID, child, &about, WEXITED);
  watch(call, attempt(call));
  EXPECT_FALSE(has_report());
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_EQ(report().call, &call);
  EXPECT_EQ(attempt(call).result, 0);
  EXPECT_EQ(about.si_pid, child);
  EXPECT_EQ(about.si_status, 3);
  EXPECT_EQ(about.si_code, CLD_EXITED);
  EXPECT_EQ(finish(call), -ECHILD);
}

TEST_F(Children, a_wait_that_is_given_up_leaves_no_descriptor) {
  Pipe pipe;
  const std::size_t before = open_descriptors();
  const pid_t child = start_child(pipe.first);
  siginfo_t about{};
  TestCall call(Opcode::waitid);
  fill_wait(call, P_PID, child, &about, WEXITED);
  watch(call, attempt(call));
  world().unwatch(call);
  EXPECT_EQ(open_descriptors(), before);
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(Children, who_must_not_wait_is_told_that_nothing_has_happened) {
  Pipe pipe;
  const pid_t child = start_child(pipe.first);
  siginfo_t about{};
  about.si_pid = 77;
  TestCall call(Opcode::waitid);
  fill_wait(call, P_PID, child, &about, WEXITED | WNOHANG);
  EXPECT_EQ(finish(call), 0);
  EXPECT_EQ(about.si_pid, 0);
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(Children, any_child_is_asked_for_again_and_again) {
  Pipe pipe;
  const pid_t child = start_child(pipe.first);
  siginfo_t about{};
  TestCall call(Opcode::waitid);
  fill_wait(call, P_ALL, 0, &about, WEXITED);
  EXPECT_EQ(attempt(call).kind, Kind::later);
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_EQ(finish(call), 0);
  EXPECT_EQ(about.si_pid, child);
}

// ---- futexes ----

using Futexes = OsWorldTest;
constexpr int private_u32 = 2 | FUTEX_PRIVATE_FLAG;

void fill_futex(TestCall& call, const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  call.sqe.fd = private_u32;
  call.sqe.addr = address(&word);
  call.at(expected);
  call.sqe.addr3 = FUTEX_BITSET_MATCH_ANY;
}

/// Wakes until somebody was there: a helper needs a moment to begin.
void wake(World& world, const std::atomic<std::uint32_t>& word, std::uint64_t mask = FUTEX_BITSET_MATCH_ANY) {
  TestCall call(Opcode::futex_wake);
  fill_futex(call, word, 1);
  call.sqe.addr3 = mask;
  for (int i = 0; i < 100'000; ++i) {
    if (world.attempt(call).result == 1) return;
    std::this_thread::yield();
  }
  ADD_FAILURE() << "nobody waits";
}

TEST_F(Futexes, another_value_is_told_at_once) {
  const std::atomic<std::uint32_t> word{5};
  TestCall call(Opcode::futex_wait);
  fill_futex(call, word, 4);
  EXPECT_EQ(finish(call), -EAGAIN);
  TestCall nowhere(Opcode::futex_wait);
  fill_futex(nowhere, word, 4);
  nowhere.sqe.addr = 16;
  EXPECT_EQ(finish(nowhere), -EFAULT);
  TestCall senseless(Opcode::futex_wait);
  fill_futex(senseless, word, 5);
  senseless.sqe.addr3 = 0;
  EXPECT_EQ(finish(senseless), -EINVAL);
}

TEST_F(Futexes, a_wait_ends_when_it_is_woken) {
  const std::atomic<std::uint32_t> word{5};
  TestCall call(Opcode::futex_wait);
  fill_futex(call, word, 5);
  ASSERT_EQ(attempt(call).kind, Kind::helper);
  ASSERT_EQ(world().lend(call), 0);
  wake(world(), word);
  const Report found = report();
  EXPECT_EQ(found.call, &call);
  EXPECT_EQ(found.answer.result, 0);
}

TEST_F(Futexes, who_has_just_begun_to_wait_is_woken_too) {
  const std::atomic<std::uint32_t> word{5};
  std::vector<std::unique_ptr<TestCall>> calls;
  constexpr std::uint32_t count = 140;  // more than there are threads
  for (std::uint32_t i = 0; i < count; ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::futex_wait));
    fill_futex(*calls.back(), word, 5);
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  TestCall one(Opcode::futex_wake);
  fill_futex(one, word, 1);
  EXPECT_EQ(attempt(one).result, 1);
  TestCall rest(Opcode::futex_wake);
  fill_futex(rest, word, INT_MAX);
  EXPECT_EQ(attempt(rest).result, static_cast<std::int32_t>(count - 1));
  for (std::uint32_t i = 0; i < count; ++i) EXPECT_EQ(report().answer.result, 0);
}

TEST_F(Futexes, wakes_and_waits_of_two_worlds_meet) {
  const std::atomic<std::uint32_t> word{5};
  int error = 0;
  const std::unique_ptr<World> other = make_os_world(error, 4);
  for (int i = 0; i < 100; ++i) {
    TestCall call(Opcode::futex_wait);
    fill_futex(call, word, 5);
    ASSERT_EQ(world().lend(call), 0);
    TestCall wakes(Opcode::futex_wake);
    fill_futex(wakes, word, 1);
    std::thread([&] { EXPECT_EQ(other->attempt(wakes).result, 1); }).join();
    EXPECT_EQ(report().answer.result, 0);
  }
}

TEST_F(Futexes, as_many_are_woken_as_two_threads_wake) {
  const std::atomic<std::uint32_t> word{5};
  int error = 0;
  const std::unique_ptr<World> other = make_os_world(error, 4);
  std::vector<std::unique_ptr<TestCall>> calls;
  constexpr int count = 200;
  for (int i = 0; i < count; ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::futex_wait));
    fill_futex(*calls.back(), word, 5);
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  const auto wake_half = [&word](World& through) {
    TestCall one(Opcode::futex_wake);
    fill_futex(one, word, 1);
    for (int i = 0; i < count / 2; ++i) EXPECT_EQ(through.attempt(one).result, 1);
  };
  std::thread elsewhere([&] { wake_half(*other); });
  wake_half(world());
  elsewhere.join();
  for (int i = 0; i < count; ++i) EXPECT_EQ(report().answer.result, 0);
  TestCall again(Opcode::futex_wake);
  fill_futex(again, word, 1);
  EXPECT_EQ(attempt(again).result, 0);
}

TEST_F(Futexes, who_stands_in_line_notices_that_its_word_has_changed) {
  const std::atomic<std::uint32_t> word{5};
  std::atomic<std::uint32_t> other{5};
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 140; ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::futex_wait));
    fill_futex(*calls.back(), i < 135 ? word : other, 5);
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  other = 6;  // nobody wakes it through a ring
  std::set<const Call*> ended;
  for (int i = 0; i < 5; ++i) {
    const Report found = report();
    EXPECT_EQ(found.answer.result, 0);
    ended.insert(found.call);
  }
  for (std::size_t i = 135; i < 140; ++i) EXPECT_TRUE(ended.contains(calls[i].get()));
  world().end();
}

TEST_F(Futexes, a_mask_is_waited_for_and_woken_once) {
  const std::atomic<std::uint32_t> word{5};
  for (int i = 0; i < 20; ++i) {
    std::array<TestCall, 2> waits{TestCall(Opcode::futex_wait), TestCall(Opcode::futex_wait)};
    for (TestCall& call : waits) {
      fill_futex(call, word, 5);
      call.sqe.addr3 = 4;
      ASSERT_EQ(world().lend(call), 0);
    }
    for (int ended = 0; ended < 2; ++ended) {
      TestCall one(Opcode::futex_wake);
      fill_futex(one, word, 1);
      one.sqe.addr3 = 6;
      EXPECT_EQ(attempt(one).result, 1);
    }
    for (int ended = 0; ended < 2; ++ended) EXPECT_EQ(report().answer.result, 0);
  }
}

TEST_F(Futexes, bits_that_do_not_match_wake_nobody) {
  const std::atomic<std::uint32_t> word{5};
  TestCall call(Opcode::futex_wait);
  fill_futex(call, word, 5);
  call.sqe.addr3 = 4;
  ASSERT_EQ(attempt(call).kind, Kind::helper);
  ASSERT_EQ(world().lend(call), 0);
  TestCall other(Opcode::futex_wake);
  fill_futex(other, word, 1);
  other.sqe.addr3 = 2;
  EXPECT_EQ(attempt(other).result, 0);
  wake(world(), word, 4);
  EXPECT_EQ(report().answer.result, 0);
}

TEST_F(Futexes, the_word_that_was_woken_is_named) {
  const std::array<std::atomic<std::uint32_t>, 3> words{1, 2, 3};
  std::array<::futex_waitv, 3> list{};
  for (std::size_t i = 0; i < 3; ++i)
    list[i] = {.val = i + 1, .uaddr = address(&words[i]), .flags = private_u32, .__reserved = 0};
  TestCall call(Opcode::futex_waitv, 0);
  call.memory(list.data(), list.size());
  ASSERT_EQ(attempt(call).kind, Kind::helper);
  ASSERT_EQ(world().lend(call), 0);
  wake(world(), words[2]);
  EXPECT_EQ(report().answer.result, 2);
  list[1].val = 9;
  EXPECT_EQ(finish(call), -EAGAIN);
}

TEST_F(Futexes, a_list_of_the_greatest_length_is_waited_for_and_given_up) {
  const std::atomic<std::uint32_t> word{1};
  std::vector<::futex_waitv> list(FUTEX_WAITV_MAX,
                                  {.val = 1, .uaddr = address(&word), .flags = private_u32, .__reserved = 0});
  TestCall call(Opcode::futex_waitv, 0);
  call.memory(list.data(), list.size());
  ASSERT_EQ(attempt(call).kind, Kind::helper);
  ASSERT_EQ(world().lend(call), 0);
  const TakenBack how = world().take_back(call);
  EXPECT_NE(how, TakenBack::running);
  EXPECT_TRUE(how == TakenBack::given_back || report().answer.result == -ECANCELED);
}

TEST_F(Futexes, waits_are_given_up_and_further_ones_stand_in_line) {
  const std::atomic<std::uint32_t> word{5};
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 150; ++i) {
    calls.push_back(std::make_unique<TestCall>(Opcode::futex_wait));
    fill_futex(*calls.back(), word, 5);
    ASSERT_EQ(world().lend(*calls.back()), 0);
  }
  std::size_t to_end = 0;
  for (const auto& call : calls) {
    const TakenBack how = world().take_back(*call);
    EXPECT_NE(how, TakenBack::running);
    if (how == TakenBack::will_end) ++to_end;
  }
  EXPECT_LE(to_end, 150U);
  for (; to_end > 0; --to_end) EXPECT_EQ(report().answer.result, -ECANCELED);
  EXPECT_FALSE(has_report());
}

TEST_F(Futexes, the_end_gives_up_what_still_waits) {
  const std::atomic<std::uint32_t> word{5};
  TestCall first(Opcode::futex_wait);
  fill_futex(first, word, 5);
  ASSERT_EQ(world().lend(first), 0);
  world().end();
  Report found;
  ASSERT_TRUE(world().next(found));
  EXPECT_EQ(found.answer.result, -ECANCELED);
}

}  // namespace
}  // namespace corering::emulation
