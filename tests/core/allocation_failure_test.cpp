/// allocation_failure_test.cpp — one allocation fails, each in turn. This is a separate program, because it
/// replaces operator new.
///
/// Every story runs in a process of its own, once for each allocation that it makes. It must come to its end:
/// with a result, an error or std::bad_alloc. Only the places that docs/MEMORY.md lists may end the program
/// instead.
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <regex>
#include <set>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "support/story.hpp"

#if defined(CORERING_TEST_TSAN)
// The thread sanitizer links an operator new of its own, which nothing may replace.
TEST(WithoutMemory, needs_an_operator_new_of_its_own) {
  GTEST_SKIP() << "the thread sanitizer's operator new cannot be made to fail";
}
#else

namespace {

std::atomic<long> left = -1;  // how many more allocations succeed; negative: all of them
std::atomic<std::size_t> least_size = 0;
// The thread that waits for a story allocates whenever it gets its turn. If that counted, the numbers of the
// story's own allocations would depend on who is faster, and some of them would never fail.
thread_local bool counts_here = true;

bool fails(std::size_t size) noexcept {
  return counts_here && size >= least_size && left.load() >= 0 && left.fetch_sub(1) == 0;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (fails(size)) return nullptr;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void* allocate_or_throw(std::size_t size, std::size_t alignment = 1) {
  if (void* const memory = allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// They are not inlined. Otherwise g++ takes free() of what operator new returned for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) { return allocate_or_throw(size); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, 1);
}
// A sanitizer has its own for arrays, which do not come here by themselves.
[[gnu::noinline]] void* operator new[](std::size_t size) { return allocate_or_throw(size); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace corering {
namespace {

using namespace std::chrono_literals;

// ---- the stories ----

Task<Result<int>> leaf(int value) {
  std::array<char, 3000> large{};  // so that its frame is of a size of its own
  large[static_cast<std::size_t>(value)] = static_cast<char>(value);
  const Result<void> slept = co_await sleep_for(1us);
  if (!slept) co_return std::unexpected(slept.error());
  co_return large[static_cast<std::size_t>(value)];
}

Task<void> combinators() {
  (void)co_await when_all(leaf(1), leaf(2), async_nop());
  (void)co_await when_any(leaf(1), sleep_until(TimePoint::max()));
  std::vector<Task<Result<int>>> many;
  for (int i = 0; i < 5; ++i) many.push_back(leaf(i));
  (void)co_await when_all(std::move(many));
}

Task<void> groups() {
  const auto body = [](TaskGroup& group) -> Task<void> {
    for (int i = 0; i < 10; ++i) group.spawn(leaf(i));
    co_return;
  };
  (void)co_await with_group(body, {.max_running = 3});
}

Task<void> sleeps_in_time() { (void)co_await with_timeout(1h, sleep_for(1us)); }

Task<void> timers() {
  std::vector<JoinHandle<void>> handles;
  handles.reserve(40);
  for (int i = 0; i < 40; ++i) handles.push_back(spawn(sleeps_in_time()));
  std::exception_ptr thrown;
  for (JoinHandle<void>& handle : handles) {
    try {
      co_await std::move(handle);
    } catch (const std::bad_alloc&) {
      thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

// The pieces pile up while nobody awaits them.
Task<void> streams() {
  Result<BufferPool> pool = BufferPool::create({.count = 32, .size = 64});
  if (!pool) co_return;  // the emulation needs memory for it
  const test::SocketPair pair;
  RecvStream stream(pair.ours.get(), *pool);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10; ++i) {
      (void)co_await async_send(pair.theirs.get(), test::bytes_of("x"));
      (void)co_await async_nop();
    }
    for (int i = 0; i < 3; ++i) {
      const Result<LentBuffer> piece = co_await with_timeout(10ms, stream.next());
      if (!piece) co_return;
    }
  }
}

Task<void> messages() {
  NumberInbox inbox;
  for (int i = 0; i < 20; ++i) (void)co_await async_msg_ring(inbox.address(), i);
  int expected = 0;
  for (;;) {
    const Result<std::int32_t> number = co_await with_timeout(1ms, inbox.receive());
    if (!number) {
      EXPECT_TRUE(number.error() == std::errc::timed_out || number.error() == std::errc::not_enough_memory);
      if (number.error() == std::errc::timed_out) co_return;
    } else if (*number < expected++) {
      std::abort();
    }
  }
}

Task<void> receives(Channel<int>& channel) { (void)co_await channel.receive(); }

Task<void> channels() {
  Channel<int> channel(1);
  JoinHandle<void> receiver = spawn(receives(channel));
  (void)co_await async_nop();
  int value = 7;
  (void)channel.try_send(value);  // the receiver is served, and cancelled before it runs
  receiver.request_cancel();
  co_await std::move(receiver);
  if (channel.size() != 1) std::abort();
}

Task<void> buffers_from_elsewhere() {
  BlockingPool threads({.max_threads = 1});
  Result<BufferPool> pool = BufferPool::create({.count = 8, .size = 64});
  if (!pool) co_return;
  const test::SocketPair pair;
  for (int i = 0; i < 4; ++i) {
    (void)co_await async_send(pair.theirs.get(), test::bytes_of("x"));
    Result<LentBuffer> piece = co_await async_recv(pair.ours.get(), *pool);
    if (!piece) co_return;
    const auto give_back = [&piece] { piece->give_back(); };
    (void)co_await offload(threads, give_back);
  }
  (void)pool->lent();
}

Task<void> cancelled_tasks() {
  JoinHandle<Result<int>> handle = spawn(leaf(1));
  handle.request_cancel();
  (void)co_await std::move(handle);
}

/// Whatever there is no memory for, the input is closed, so that the child ends, too.
Task<void> children() {
  Result<Child> child =
      Child::spawn({"cat"}, {.input = ChildOptions::Stream::pipe, .output = ChildOptions::Stream::nothing});
  if (!child) co_return;
  Result<ChildExit> ended = failure(ENOMEM);
  while (!ended && ended.error() == std::errc::not_enough_memory) {
    try {
      ended = co_await child->wait();
    } catch (const std::bad_alloc&) {
    }
  }
  if (!ended || !ended->success()) std::abort();
}

Task<void> recorded() {
  (void)trace::start(64);  // without memory nothing is recorded
  for (int i = 0; i < 3; ++i) (void)co_await async_nop();
  trace::stop();
}

Task<void> one_nop() { (void)co_await async_nop(); }
Task<void> more_ready_than_ever() {
  std::vector<Task<void>> many;
  for (int i = 0; i < 3000; ++i) many.push_back(one_nop());
  (void)co_await when_all(std::move(many));
}

// ---- how a story is told ----

struct Story {
  const char* name;
  Task<void> (*tell)();
  const char* end = "";         ///< what may end the program, as docs/MEMORY.md says it
  std::size_t of_at_least = 0;  ///< only allocations of this size or more fail
};

/// The child: runs the story on a worker, where the allocation number `number` fails.
[[noreturn]] void tell(const Story& story, long number) {
  ::alarm(60);
  counts_here = false;
  Worker worker;
  if (!worker.start()) ::_exit(3);
  const auto tells = [](const Story& told, long allocation) -> Task<void> {
    least_size = told.of_at_least;
    left = allocation;
    co_await told.tell();
  };
  try {
    sync_wait(worker.spawn(tells(story, number)).value());
  } catch (const std::bad_alloc&) {
  }
  const bool failed = left.exchange(-1) < 0;
  worker.request_stop();
  worker.join();
  ::_exit(failed ? 0 : 7);
}

/// The child: starts a worker and stops it, while the allocation number `number` fails.
[[noreturn]] void start_and_stop(const Story&, long number) {
  ::alarm(60);
  left = number;
  try {
    Worker worker;
    const Result<void> started = worker.start();
    if (started) sync_wait(worker.spawn(one_nop()).value());
  } catch (const std::bad_alloc&) {
  }
  ::_exit(left.exchange(-1) < 0 ? 0 : 7);
}

struct Outcome {
  int status = 0;
  std::string said;
};

Outcome told_in_a_child(void (*tell_it)(const Story&, long), const Story& story, long number) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    tell_it(story, number);
  }
  ::close(ends[1]);
  Outcome outcome;
  std::array<char, 512> piece{};
  for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    outcome.said.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  ::waitpid(child, &outcome.status, 0);
  return outcome;
}

/// What the program said when it ended because there was no memory for it, or nothing.
std::string without_memory_for(const Outcome& outcome) {
  static const std::regex words("corering: there is no memory for (.*), and nobody can be told");
  std::smatch match;
  const bool aborted = WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT;
  return aborted && std::regex_search(outcome.said, match, words) ? match[1].str() : "";
}

/// Returns for what there was no memory when the program ended, each time that it did.
std::set<std::string> try_each_allocation(void (*tell_it)(const Story&, long), const Story& story) {
  constexpr long too_many = 400;
  std::set<std::string> ends;
  for (long number = 0; number < too_many; ++number) {
    const Outcome outcome = told_in_a_child(tell_it, story, number);
    const bool exited = WIFEXITED(outcome.status);
    if (exited && WEXITSTATUS(outcome.status) == 7) {  // it made no more allocations
      EXPECT_GT(number, 0) << "none failed";
      return ends;
    }
    if (exited && WEXITSTATUS(outcome.status) == 0) continue;
    const std::string what = without_memory_for(outcome);
    if (!what.empty()) ends.insert(what);
    EXPECT_FALSE(what.empty()) << "allocation " << number << ": status " << outcome.status << "\n"
                               << outcome.said;
  }
  ADD_FAILURE() << "the story makes more than " << too_many << " allocations";
  return ends;
}

/// The same, again until `expected` has been seen. When an emulated ring makes its own few allocations
/// depends on when it is woken, so one round may miss the allocation that is meant.
std::set<std::string> try_until(const std::set<std::string>& expected, const Story& story) {
  constexpr int most_rounds = 50;
  std::set<std::string> ends;
  for (int round = 0; round == 0 || (round < most_rounds && ends != expected); ++round) {
    ends.merge(try_each_allocation(tell, story));
  }
  return ends;
}

class WithoutMemory : public testing::TestWithParam<Story> {};

TEST_P(WithoutMemory, a_story_comes_to_its_end_or_names_what_there_is_no_memory_for) {
  std::set<std::string> expected;
  if (*GetParam().end != '\0') expected.insert(GetParam().end);
  EXPECT_EQ(try_until(expected, GetParam()), expected);
}

INSTANTIATE_TEST_SUITE_P(Of, WithoutMemory,
                         testing::Values(Story{"combinators", combinators}, Story{"groups", groups},
                                         Story{"timers", timers}, Story{"streams", streams},
                                         Story{"messages", messages},
                                         Story{"channels", channels, "the value of a cancelled receive"},
                                         Story{"buffers_from_elsewhere", buffers_from_elsewhere},
                                         Story{"cancelled_tasks", cancelled_tasks},
                                         Story{"children", children}, Story{"recorded", recorded},
                                         Story{"more_ready_than_ever", more_ready_than_ever,
                                               "the queue of ready coroutines", 16 * 1024}),
                         [](const testing::TestParamInfo<Story>& info) { return info.param.name; });

TEST(WithoutMemory, a_worker_starts_or_says_that_it_cannot) {
  EXPECT_EQ(try_each_allocation(start_and_stop, {}), std::set<std::string>());
}

// ---- what begins with the first worker ----

/// The child: its environment wants a replay, or a recording. No worker may start where a replay is wanted.
[[noreturn]] void begin_with(const char* variable, const char* value, long number) {
  ::alarm(60);
  ::setenv(variable, value, 1);
  left = number;
  bool has_started = false;
  try {
    Worker worker;
    has_started = worker.start().has_value();
  } catch (const std::bad_alloc&) {
  }
  if (left.exchange(-1) >= 0) ::_exit(7);
  ::_exit(has_started ? 5 : 0);
}
[[noreturn]] void begin_a_replay(const Story&, long number) {
  begin_with("CORERING_REPLAY", "/dev/null", number);
}
[[noreturn]] void begin_a_recording(const Story&, long number) {
  begin_with("CORERING_TRACE", "replay,file=/dev/null", number);
}

/// Returns everything that was said. Each number is tried until no allocation fails.
std::string said_by_each(void (*tell_it)(const Story&, long), bool may_start) {
  std::string said;
  for (long number = 0; number < 400; ++number) {
    const Outcome outcome = told_in_a_child(tell_it, {}, number);
    said += outcome.said;
    EXPECT_TRUE(WIFEXITED(outcome.status)) << outcome.said;
    const int code = WEXITSTATUS(outcome.status);
    EXPECT_TRUE(code != 5 || may_start) << "allocation " << number << ": a worker has started";
    if (code == 7) return said;
  }
  ADD_FAILURE() << "there is no end of allocations";
  return said;
}

TEST(WithoutMemory, a_replay_that_cannot_begin_says_so_and_no_worker_starts) {
  EXPECT_NE(said_by_each(begin_a_replay, false).find("the replay cannot begin: std::bad_alloc"),
            std::string::npos);
}

TEST(WithoutMemory, a_recording_that_cannot_begin_says_so) {
  EXPECT_NE(said_by_each(begin_a_recording, true).find("nothing is recorded for a replay: std::bad_alloc"),
            std::string::npos);
}

// ---- the list ----

std::set<std::string> found_in(const std::string& text, const char* pattern) {
  const std::regex words(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), words), end; at != end; ++at) found.insert((*at)[1]);
  return found;
}
std::string read(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(WithoutMemory, the_document_lists_every_place_that_ends_the_program) {
  const std::filesystem::path root = CORERING_SOURCE_DIR;
  std::set<std::string> in_the_code;
  for (const char* const top : {"include", "src"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / top)) {
      if (entry.is_regular_file())
        in_the_code.merge(found_in(read(entry.path()), R"|(end_without_memory\("(.*)"\))|"));
    }
  }
  EXPECT_FALSE(in_the_code.empty());
  EXPECT_EQ(found_in(read(root / "docs/MEMORY.md"), R"|(\n\| `(.*)` \|)|"), in_the_code);
}

}  // namespace
}  // namespace corering

#endif
