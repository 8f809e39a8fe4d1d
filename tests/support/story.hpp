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

#include "support/simulated.hpp"

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

/// Skips a test that is about the real ring where workers run on the emulated one. The reasons are counted at
/// the end of ./test.
#define NEEDS_IO_URING(why) \
  if (&default_kernel() == &emulated_kernel()) GTEST_SKIP() << "about the real ring: " << (why)

/// A new directory. At the end of the test it is deleted, with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() { path_ = make_temporary_directory(); }
  TemporaryDirectory(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory() {
    if (!is_simulated()) std::filesystem::remove_all(path_);
  }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Returns how many descriptors this process has open. The trace file does not count: the first worker opens
/// it, and it stays.
inline int open_descriptors() {
  if (is_simulated()) return simulated_descriptors();
  int count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(directory)) {
    std::array<char, 64> target{};
    const ssize_t length = ::readlinkat(::dirfd(directory), entry->d_name, target.data(), target.size() - 1);
    if (length < 0 || std::string_view(target.data()).find("corering-trace") == std::string_view::npos)
      ++count;
  }
  ::closedir(directory);
  return count;
}

struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds{};
    if (sys::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
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
    const Fd probe(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (sys::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return ntohs(address.sin_port);
    }
  }
  std::abort();
}

/// A TCP socket that listens on a free port of 127.0.0.1, and its address.
struct Listener {
  explicit Listener(std::uint16_t port = 0) : fd(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.sin_port = htons(port);
    const int on = 1;  // old connections do not prevent the bind; another listener would
    sys::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t length = sizeof address;
    bound = sys::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
            sys::listen(fd.get(), 128) == 0 &&
            sys::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0;
  }
  [[nodiscard]] std::uint16_t port() const { return ntohs(address.sin_port); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  Fd fd;
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  bool bound = false;
};

/// Both ends of a TCP connection to this machine.
struct TcpPair {
  TcpPair() {
    const Listener listener;
    ours = Fd(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (sys::connect(ours.get(), listener.get(), sizeof listener.address) != 0) std::abort();
    theirs = Fd(sys::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!theirs.is_open()) std::abort();
  }
  Fd ours;
  Fd theirs;
};

/// Returns true if this kernel has it. A test that needs it says so when it skips: Need::unmet().
inline bool kernel_has(Need need) {
  const std::optional<Capabilities> found = probe(default_kernel());
  return found && found->has(need);
}

/// A worker that has been started, on its own thread.
class RunningWorker {
 public:
  explicit RunningWorker(WorkerOptions options = {})
      : own_(is_simulated() ? nullptr : std::make_unique<Worker>(std::move(options))),
        worker(own_ == nullptr ? next_simulated_worker() : *own_) {
    if (own_ == nullptr) return;
    // Nobody would run what waits for it, so the test ends here. (The kernel may refuse io_uring.)
    if (const Result<void> started = worker.start(); !started) throw std::system_error(started.error());
  }
  RunningWorker(RunningWorker&&) = delete;
  ~RunningWorker() {
    if (own_ == nullptr) end_simulated_worker(worker);
  }

 private:
  std::unique_ptr<Worker> own_;

 public:
  Worker& worker;  ///< in a simulated world one of the world's, on the same thread
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
