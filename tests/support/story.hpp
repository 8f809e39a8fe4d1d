/// story.hpp — the words in which the tests are written.
#pragma once

#include <array>
#include <cstdlib>
#include <dirent.h>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <corering/corering.hpp>
#include <gtest/gtest.h>

#if defined(__SANITIZE_THREAD__)
#define CORERING_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORERING_TEST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define CORERING_TEST_ASAN 1
#endif
#endif

namespace corering::test {

using namespace std::chrono_literals;

#if defined(CORERING_TEST_TSAN)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

#if defined(CORERING_TEST_TSAN) || defined(CORERING_TEST_ASAN)
inline constexpr bool under_sanitizer = true;
#else
inline constexpr bool under_sanitizer = false;
#endif

/// A new directory. At the end of the test it is deleted, with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "corering-test-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  TemporaryDirectory(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Returns how many descriptors this process has open.
inline int open_descriptors() {
  int count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
    ours = Fd(fds[0]);
    theirs = Fd(fds[1]);
  }
  Fd ours;
  Fd theirs;
};

/// Returns a port of 127.0.0.1 that can be bound again and again. It is free at the moment, and below the
/// ports that clients of other tests get, because those stay taken for a minute.
inline std::uint16_t port_to_rebind() {
  const auto first = static_cast<unsigned>(::getpid());
  for (unsigned i = 0; i < 12'000; ++i) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    address.sin_port = htons(static_cast<std::uint16_t>(20'000 + (first * 37 + i) % 12'000));
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return ntohs(address.sin_port);
    }
  }
  std::abort();
}

/// A TCP socket that listens on a free port of 127.0.0.1, and its address.
struct Listener {
  explicit Listener(std::uint16_t port = 0) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.sin_port = htons(port);
    const int on = 1;  // old connections do not prevent the bind; another listener would
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t length = sizeof address;
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
            ::listen(fd.get(), 128) == 0 &&
            ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0;
  }
  [[nodiscard]] std::uint16_t port() const { return ntohs(address.sin_port); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  Fd fd;
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  bool bound = false;
};

/// A worker that has been started, on its own thread.
class RunningWorker {
 public:
  explicit RunningWorker(WorkerOptions options = {}) : worker(std::move(options)) {
    const Result<void> started = worker.start();
    EXPECT_TRUE(started) << started.error().message();
  }
  Worker worker;
};

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Returns the error with which an operation fails, or no error if it succeeds.
template <class Operation>
Task<std::error_code> error_of(Operation operation) {
  const auto result = co_await std::move(operation);
  co_return result ? std::error_code() : result.error();
}

/// Runs `task` to its end on a worker of the calling thread, and stops that worker.
inline Task<void> then_stop(Task<void> task) {
  co_await std::move(task);
  Worker::current()->request_stop();
}
inline void run_on_a_worker_here(Task<void> task, WorkerOptions options = {}) {
  Worker worker(std::move(options));
  const Result<void> ran = worker.run([&task](Worker&) { spawn(then_stop(std::move(task))).detach(); });
  ASSERT_TRUE(ran) << ran.error().message();
}

}  // namespace corering::test
