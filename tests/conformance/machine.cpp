/// machine.cpp — the operating system as scripts use it.
#include "conformance/machine.hpp"

#include <cerrno>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/story.hpp"

namespace corering::conformance {
namespace {

int answer(ssize_t result) { return result < 0 ? -errno : static_cast<int>(result); }

class RealMachine final : public Machine {
 public:
  explicit RealMachine(Kernel& kernel) : kernel_(kernel) {}
  Kernel& kernel() noexcept override { return kernel_; }
  void settle() override {}

  int eventfd() override { return answer(::eventfd(0, EFD_CLOEXEC)); }
  int accept(int listener) override { return answer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)); }
  int connect(int fd, const sockaddr* where, socklen_t length) override {
    return answer(::connect(fd, where, length));
  }
  int open(const char* path, int flags) override { return answer(::open(path, flags, 0600)); }
  int read(int fd, std::span<char> into) override { return answer(::read(fd, into.data(), into.size())); }
  int write(int fd, std::string_view from) override { return answer(::write(fd, from.data(), from.size())); }
  int write_at_begin(int fd, std::string_view from) override {
    return answer(::pwrite(fd, from.data(), from.size(), 0));
  }
  int receive_now(int fd, std::span<char> into) override {
    return answer(::recv(fd, into.data(), into.size(), MSG_DONTWAIT));
  }
  int send_now(int fd, std::string_view from) override {
    return answer(::send(fd, from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  bool is_open(int fd) override { return ::fcntl(fd, F_GETFD) >= 0; }
  bool is_closed_on_exec(int fd) override { return ::fcntl(fd, F_GETFD) == FD_CLOEXEC; }
  void set_nonblocking(int fd, bool is_so) override {
    EXPECT_EQ(::fcntl(fd, F_SETFL, is_so ? O_NONBLOCK : 0), 0);
  }
  bool is_nonblocking(int fd) override { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }
  std::size_t size_of_pipe(int fd) override { return static_cast<std::size_t>(::fcntl(fd, F_GETPIPE_SZ)); }
  void let_open(bool may_open) override;

  std::string new_directory() override { return directories_.emplace_back() / ""; }
  bool exists(const char* path) override { return ::access(path, F_OK) == 0; }
  std::string content_of(const char* path) override { return test::content_of(path); }
  std::size_t size_of_file(int fd) override {
    struct stat status{};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return static_cast<std::size_t>(status.st_size);
  }

  Duration now_of(clockid_t clock) override {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }

 private:
  Kernel& kernel_;
  std::deque<test::TemporaryDirectory> directories_;
  rlimit before_{};
};

void RealMachine::let_open(bool may_open) {
  if (!may_open) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
  }
  const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, may_open ? &before_ : &none), 0);
}

}  // namespace

std::unique_ptr<Machine> real_machine(Kernel& kernel) { return std::make_unique<RealMachine>(kernel); }

}  // namespace corering::conformance
