/// fake_coroutine_test.cpp — a FakeCoroutine must look like a coroutine to this compiler.
#include <corering/engine/fake_coroutine.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

struct Told {
  int times = 0;
};

class Listens : public Told, public FakeCoroutine {
 public:
  Listens() : FakeCoroutine(&told) {}

 private:
  static void told(void* self) { ++static_cast<Listens&>(FakeCoroutine::from(self)).times; }
};

TEST(FakeCoroutine, is_resumed_like_a_coroutine) {
  Listens listens;
  const std::coroutine_handle<PromiseBase> typed = listens.handle();
  EXPECT_EQ(&typed.promise(), &listens.inner_promise());
  EXPECT_EQ(std::coroutine_handle<PromiseBase>::from_promise(listens.inner_promise()).address(),
            typed.address());
  const std::coroutine_handle<> plain = typed;
  EXPECT_FALSE(plain.done());
  plain.resume();
  plain();
  EXPECT_EQ(listens.times, 2);
}

Task<void> runs_to_its_end(bool& ran) {
  ran = true;
  co_return;
}

// The end of a task jumps to whatever awaits it. Here that is not a coroutine.
TEST(FakeCoroutine, is_what_a_task_goes_on_to) {
  Listens listens;
  bool ran = false;
  Task<void> task = runs_to_its_end(ran);
  auto awaiter = std::move(task).operator co_await();
  awaiter.await_suspend(listens.handle()).resume();
  EXPECT_TRUE(ran);
  EXPECT_EQ(listens.times, 1);
}

TEST(FakeCoroutineDeathTest, is_not_destroyed_like_a_coroutine) {
  EXPECT_DEATH(
      {
        Listens listens;
        listens.handle().destroy();
      },
      "destroyed like a real coroutine");
}

}  // namespace
}  // namespace corering
