/// watcher_test.cpp — a watcher reports what happens in a directory.
#include <fstream>

#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> watches(std::string path) {
  Result<Watcher> watcher = Watcher::create();
  EXPECT_TRUE(watcher);
  if (!watcher) co_return;
  EXPECT_EQ(watcher->add(path + "none").error(), std::errc::no_such_file_or_directory);
  const Result<int> watch = watcher->add(path);
  EXPECT_TRUE(watch);
  std::ofstream(path + "new") << "x";
  ::rename((path + "new").c_str(), (path + "newer").c_str());
  ::unlink((path + "newer").c_str());
  struct Expected {
    std::uint32_t what;
    const char* name;
  };
  std::uint32_t pair = 0;
  for (const auto& [what, name] :
       {Expected{IN_CREATE, "new"}, Expected{IN_MODIFY, "new"}, Expected{IN_MOVED_FROM, "new"},
        Expected{IN_MOVED_TO, "newer"}, Expected{IN_DELETE, "newer"}}) {
    const Result<WatchEvent> event = co_await watcher->next();
    EXPECT_TRUE(event);
    if (!event) co_return;
    EXPECT_EQ(event->what, what);
    EXPECT_EQ(event->name, name);
    EXPECT_EQ(event->watch, *watch);
    if (what == IN_MOVED_TO) {
      EXPECT_EQ(event->pair, pair);
    }
    pair = event->pair;
  }
  const auto nothing = co_await with_timeout(20ms, watcher->next());
  EXPECT_EQ(nothing.error(), std::errc::timed_out);
  EXPECT_TRUE(watcher->remove(*watch));
}

TEST(Watcher, tells_what_happened_in_order) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(watches(directory / ""));
}

}  // namespace
}  // namespace corering
