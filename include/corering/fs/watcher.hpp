/// watcher.hpp — what happens in files and directories, reported as events: inotify(7).
#pragma once

#include <cstdint>
#include <string>
#include <sys/inotify.h>
#include <vector>

#include <corering/core/task.hpp>
#include <corering/io/file_calls.hpp>

namespace corering {

struct WatchEvent {
  int watch = -1;          ///< the watch, as add() returned it; -1 with IN_Q_OVERFLOW
  std::uint32_t what = 0;  ///< IN_CREATE, IN_MODIFY, ...; IN_Q_OVERFLOW: some events are lost, look again
  std::uint32_t pair = 0;  ///< connects IN_MOVED_FROM and IN_MOVED_TO
  std::string name;        ///< the name within a watched directory
};

/// Watches files and directories, and reports events.
/// thread: its owner; one coroutine at a time awaits next(), on a worker
class Watcher {
 public:
  /// Makes a watcher without watches.
  /// errors: EMFILE: the limit is the sysctl fs.inotify.max_user_instances, or RLIMIT_NOFILE
  [[nodiscard]] static Result<Watcher> create();

  /// Watches `path`, which is a file or a directory, but not what is below the directory. The path is looked
  /// up on the calling thread.
  /// errors: ENOENT, EACCES; ENOSPC: the limit is the sysctl fs.inotify.max_user_watches
  [[nodiscard]] Result<int> add(const std::string& path,
                                std::uint32_t what = IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVE);
  Result<void> remove(int watch) noexcept;

  /// Waits for the next event. Events come in the order in which they happened.
  [[nodiscard]] Task<Result<WatchEvent>> next();

 private:
  explicit Watcher(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace corering
