/// os_world_fixture.hpp — drives the world of an emulated ring without a ring.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "emulation/world.hpp"

namespace corering::emulation {

inline std::uint64_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

inline std::size_t entries_of(const char* folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}
inline std::size_t open_descriptors() { return entries_of("/proc/self/fd"); }
inline std::size_t threads() { return entries_of("/proc/self/task"); }

/// The first thread of a program brings one of the sanitizer's own with it, which stays.
inline std::size_t threads_of_the_test() {
  static const std::size_t count = [] {
    std::thread([] {}).join();
    std::size_t last = threads();
    for (int i = 0; i < 1000 && last > 1; ++i, last = threads()) std::this_thread::yield();
    return last;
  }();
  return count;
}

/// A pair of descriptors that closes itself.
struct Two {
  int first = -1;
  int second = -1;
  Two() = default;
  Two(Two&&) = delete;
  ~Two() {
    if (first >= 0) ::close(first);
    if (second >= 0) ::close(second);
  }
};

struct Pipe : Two {
  explicit Pipe(int flags = 0) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | flags), 0);
    first = ends[0];
    second = ends[1];
  }
};

struct SocketPair : Two {
  explicit SocketPair(int type = SOCK_STREAM) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    first = ends[0];
    second = ends[1];
  }
};

/// A blocking listener on the loopback device.
struct Listener {
  int fd;
  sockaddr_in address{};

  explicit Listener(int flags = 0) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(fd, 128), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  }
  Listener(Listener&&) = delete;
  ~Listener() { ::close(fd); }

  [[nodiscard]] int connect() const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return client;
  }
};

/// A file with a name of its own, which is removed at once.
struct TemporaryFile {
  int fd;

  explicit TemporaryFile(std::string_view content = {})
      : fd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    EXPECT_EQ(::lseek(fd, 0, SEEK_SET), 0);
  }
  TemporaryFile(TemporaryFile&&) = delete;
  ~TemporaryFile() { ::close(fd); }
};

/// A folder that is removed with everything in it.
struct TemporaryFolder {
  std::string path = "/tmp/corering-world-XXXXXX";
  TemporaryFolder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  TemporaryFolder(TemporaryFolder&&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::string in(const char* name) const { return path + "/" + name; }
};

/// A call that says what it does in one line.
struct TestCall : Call {
  explicit TestCall(Opcode opcode, int fd = -1) {
    sqe.opcode = static_cast<std::uint8_t>(opcode);
    sqe.fd = fd;
  }
  TestCall& memory(const void* pointer, std::size_t size) {
    sqe.addr = address(pointer);
    sqe.len = static_cast<std::uint32_t>(size);
    return *this;
  }
  TestCall& at(std::uint64_t offset) {
    sqe.off = offset;
    return *this;
  }
  TestCall& flags(std::uint32_t flags) {
    sqe.op_flags = flags;
    return *this;
  }
};

class OsWorldTest : public ::testing::Test {
 protected:
  using Kind = Answer::Kind;

  OsWorldTest() : descriptors_before_(open_descriptors()), threads_before_(threads_of_the_test()) {
    int error = 0;
    world_ = make_os_world(error, 4);
    EXPECT_EQ(error, 0);
  }

  /// Every test leaves nothing: no descriptor, no thread.
  ~OsWorldTest() override {
    world_.reset();
    EXPECT_EQ(open_descriptors(), descriptors_before_);
    EXPECT_TRUE(has_no_more_threads());
  }

  /// A thread that was joined stays in the list for a moment.
  [[nodiscard]] bool has_no_more_threads() const {
    for (int i = 0; i < 1'000'000 && threads() > threads_before_; ++i) std::this_thread::yield();
    return threads() <= threads_before_;
  }

  World& world() { return *world_; }

  Answer attempt(Call& call) { return world().attempt(call); }

  void watch(Call& call, const Answer& wait) {
    ASSERT_EQ(wait.kind, Kind::waits);
    ASSERT_EQ(world().watch(call, wait.fd, wait.events, Watching::once), 0);
  }

  /// Waits for one report, at most ten seconds.
  Report report() {
    Report found;
    for (int i = 0; i < 100 && !world().next(found); ++i) world().wait(std::chrono::milliseconds(100));
    return found;
  }

  /// Whether there is something to be reported now.
  bool has_report(Report& found) {
    world().wait(Duration::zero());
    return world().next(found);
  }
  bool has_report() {
    Report found;
    return has_report(found);
  }

  Answer lend(Call& call) {
    EXPECT_EQ(world().lend(call), 0);
    const Report found = report();
    EXPECT_EQ(found.call, &call);
    return found.answer;
  }

  /// Does what a ring does, until the call has ended.
  std::int32_t finish(Call& call) {
    for (Answer answer = attempt(call);;) {
      if (answer.kind == Kind::done) return answer.result;
      if (answer.kind == Kind::helper) {
        answer = lend(call);
        if (answer.kind == Kind::done) return answer.result;
      }
      if (answer.kind == Kind::waits) {
        EXPECT_EQ(world().watch(call, answer.fd, answer.events, Watching::once), 0);
        EXPECT_EQ(report().call, &call);
        call.was_ready = true;
      }
      if (answer.kind == Kind::later) world().wait(answer.again_after);
      answer = attempt(call);
    }
  }

 private:
  std::size_t descriptors_before_;
  std::size_t threads_before_;
  std::unique_ptr<World> world_;
};

}  // namespace corering::emulation
