/// watch_dir.cpp — prints what happens in directories, one line per event. Ctrl-C ends it.
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <sys/inotify.h>

#include <corering/corering.hpp>

using namespace corering;

const char* name_of_event(std::uint32_t what) {
  struct Name {
    std::uint32_t what;
    const char* name;
  };
  static constexpr std::array names = {Name{IN_CREATE, "created"},
                                       Name{IN_DELETE, "deleted"},
                                       Name{IN_MODIFY, "modified"},
                                       Name{IN_MOVED_FROM, "moved away"},
                                       Name{IN_MOVED_TO, "moved here"},
                                       Name{IN_IGNORED, "no longer watched"},
                                       Name{IN_Q_OVERFLOW, "too much happened, some is lost"}};
  for (const Name& one : names) {
    if ((what & one.what) != 0) return one.name;
  }
  return "changed";
}

Task<Result<void>> print_events(Watcher& watcher, const std::map<int, std::string>& paths) {
  for (;;) {
    const Result<WatchEvent> event = co_await watcher.next();
    if (!event) co_return std::unexpected(event.error());
    const auto path = paths.find(event->watch);
    std::printf("%s/%s %s\n", path == paths.end() ? "" : path->second.c_str(), event->name.c_str(),
                name_of_event(event->what));
    std::fflush(stdout);
  }
}

Task<void> print_until_told(Watcher& watcher, const std::map<int, std::string>& paths, Signals& stop) {
  (void)co_await when_any(print_events(watcher, paths), stop.next());
}

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: watch_dir DIRECTORY...\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  Result<Watcher> watcher = Watcher::create();
  if (!stop || !watcher) return std::perror("watch_dir: cannot watch"), 1;
  std::map<int, std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const Result<int> watch = watcher->add(argv[i]);
    if (!watch)
      return std::fprintf(stderr, "watch_dir: %s: %s\n", argv[i], watch.error().message().c_str()), 1;
    paths[*watch] = argv[i];
  }
  std::fprintf(stderr, "watch_dir: watching\n");
  const Result<void> ran = run(print_until_told(*watcher, paths, *stop));
  return ran ? 0 : (std::fprintf(stderr, "watch_dir: %s\n", ran.error().message().c_str()), 1);
}
