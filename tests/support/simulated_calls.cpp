/// simulated_calls.cpp — system calls of the tests, made in the case's world if it has one.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sim/calls.hpp"
#include "sim/file_system.hpp"
#include "support/simulated.hpp"
#include "support/simulated_world.hpp"

namespace corering::test {
namespace {

constexpr auto at_position = ~std::uint64_t{0};

void go_on(sim::System& system) {
  system.jump_to(std::max(*system.next_plan(), system.since_begin()));
  (void)system.happen();
}

void settle(sim::System& system) {
  const std::int64_t soon = system.since_begin() + 1'000'000;
  while (system.next_plan().value_or(INT64_MAX) <= soon) go_on(system);
}

int as_system_call(std::int32_t result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

// What a thread does that may block. What it would wait for for ever answers EAGAIN.
std::int32_t answer_of(sim::System& system, const Sqe& sqe) {
  sim::Call call;
  call.sqe = sqe;
  const std::shared_ptr<sim::Object>* const found = system.find(sqe.fd);
  const std::shared_ptr<sim::Object> object = found == nullptr ? nullptr : *found;
  for (;;) {
    const sim::Answer answer = sim::attempt_call(system, object, call, true);
    if (answer.kind == sim::Answer::Kind::done) return answer.result;
    if (!system.next_plan()) return -EAGAIN;
    go_on(system);
  }
}

int call(Opcode opcode, Sqe sqe) {
  sim::System& system = case_world().system();
  settle(system);
  sqe.opcode = static_cast<std::uint8_t>(opcode);
  const std::int32_t result = answer_of(system, sqe);
  settle(system);
  return as_system_call(result);
}

template <class T>
std::uint64_t address(const T* what) {
  return reinterpret_cast<std::uintptr_t>(what);
}

int transfer(Opcode opcode, int fd, const void* bytes, std::size_t size, std::uint64_t offset) {
  return call(opcode,
              {.fd = fd, .off = offset, .addr = address(bytes), .len = static_cast<std::uint32_t>(size)});
}

int exchange(Opcode opcode, int fd, const void* bytes, std::size_t size, int flags) {
  return call(opcode, {.fd = fd,
                       .addr = address(bytes),
                       .len = static_cast<std::uint32_t>(size),
                       .op_flags = static_cast<std::uint32_t>(flags)});
}

/// Returns true if a call on this descriptor is one of the world's.
bool is_ours(int fd) { return is_simulated() && fd >= os::first_simulated; }

std::shared_ptr<sim::Inode> find(const std::string& path) {
  return case_world().system().files().follow(path);
}

}  // namespace

std::string make_temporary_directory() {
  if (!is_simulated()) {
    std::string pattern = std::filesystem::temp_directory_path() / "corering-test-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    return pattern;
  }
  static int made = 0;
  const std::string path = "/corering-test-" + std::to_string(++made);
  if (case_world().system().files().make({.whole = path}, 0700, S_IFDIR) != 0) std::abort();
  return path;
}

std::string content_of(const std::string& path) {
  if (is_simulated()) return exists(path) ? find(path)->now : "";
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_content(const std::string& path, std::string_view content) {
  const int fd = sys::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  EXPECT_EQ(sys::write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  sys::close(fd);
}

bool exists(const std::string& path) {
  return is_simulated() ? find(path) != nullptr : std::filesystem::exists(path);
}

bool is_directory(const std::string& path) {
  return is_simulated() ? exists(path) && find(path)->is_directory : std::filesystem::is_directory(path);
}

std::size_t links_of(const std::string& path) {
  if (is_simulated()) return case_world().system().files().links_of(*find(path));
  return std::filesystem::hard_link_count(path);
}

namespace sys {

int socket(int family, int type, int protocol) {
  return is_simulated() ? os::socket(family, type & ~SOCK_CLOEXEC) : ::socket(family, type, protocol);
}
int socketpair(int family, int type, int protocol, int* ends) {
  return is_simulated() ? os::socket_pair(type & ~SOCK_CLOEXEC, ends)
                        : ::socketpair(family, type, protocol, ends);
}
int pipe2(int* ends, int flags) { return is_simulated() ? os::pipe(ends) : ::pipe2(ends, flags); }
int bind(int fd, const sockaddr* name, socklen_t length) { return os::bind(fd, name, length); }
int listen(int fd, int backlog) { return os::listen(fd, backlog); }
int connect(int fd, const sockaddr* name, socklen_t length) {
  if (!is_ours(fd)) return ::connect(fd, name, length);
  return call(Opcode::connect, {.fd = fd, .off = length, .addr = address(name)});
}
int accept4(int fd, sockaddr* name, socklen_t* length, int flags) {
  if (!is_ours(fd)) return ::accept4(fd, name, length, flags);
  return call(Opcode::accept, {.fd = fd,
                               .off = address(length),
                               .addr = address(name),
                               .op_flags = static_cast<std::uint32_t>(flags)});
}
int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return os::set_option(fd, level, name, value, length);
}
int getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  return os::get_option(fd, level, name, value, length);
}
int getsockname(int fd, sockaddr* name, socklen_t* length) { return os::local_name(fd, name, length); }
int shutdown(int fd, int how) {
  return is_ours(fd) ? call(Opcode::shutdown, {.fd = fd, .len = static_cast<std::uint32_t>(how)})
                     : ::shutdown(fd, how);
}
int close(int fd) { return os::close(fd); }
int dup(int fd) {
  if (!is_simulated()) return ::dup(fd);
  sim::System& system = case_world().system();
  return as_system_call(is_ours(fd) ? system.duplicate(fd) : system.open(std::make_shared<sim::Counter>()));
}
int fcntl(int fd, int command) {
  if (!is_ours(fd)) return ::fcntl(fd, command);
  return case_world().system().find(fd) != nullptr ? FD_CLOEXEC : as_system_call(-EBADF);
}
off_t lseek(int fd, off_t offset, int whence) {
  if (!is_ours(fd)) return ::lseek(fd, offset, whence);
  return static_cast<off_t>(dynamic_cast<const sim::OpenFile&>(**case_world().system().find(fd)).position);
}
int clock_gettime(clockid_t clock, timespec* now) {
  if (!is_simulated()) return ::clock_gettime(clock, now);
  const sim::System& system = case_world().system();
  const auto time = clock == CLOCK_REALTIME ? system.wall_clock() : system.nanoseconds();
  *now = {.tv_sec = time / 1'000'000'000, .tv_nsec = time % 1'000'000'000};
  return 0;
}
int open(const char* path, int flags, mode_t mode) {
  if (!is_simulated()) return ::open(path, flags, mode);
  return call(
      Opcode::openat,
      {.fd = AT_FDCWD, .addr = address(path), .len = mode, .op_flags = static_cast<std::uint32_t>(flags)});
}
ssize_t read(int fd, void* into, std::size_t size) {
  return is_ours(fd) ? transfer(Opcode::read, fd, into, size, at_position) : ::read(fd, into, size);
}
ssize_t write(int fd, const void* from, std::size_t size) {
  return is_ours(fd) ? transfer(Opcode::write, fd, from, size, at_position) : ::write(fd, from, size);
}
ssize_t pread(int fd, void* into, std::size_t size, off_t offset) {
  if (!is_ours(fd)) return ::pread(fd, into, size, offset);
  return transfer(Opcode::read, fd, into, size, static_cast<std::uint64_t>(offset));
}
ssize_t pwrite(int fd, const void* from, std::size_t size, off_t offset) {
  if (!is_ours(fd)) return ::pwrite(fd, from, size, offset);
  return transfer(Opcode::write, fd, from, size, static_cast<std::uint64_t>(offset));
}
ssize_t recv(int fd, void* into, std::size_t size, int flags) {
  return is_ours(fd) ? exchange(Opcode::recv, fd, into, size, flags) : ::recv(fd, into, size, flags);
}
ssize_t send(int fd, const void* from, std::size_t size, int flags) {
  return is_ours(fd) ? exchange(Opcode::send, fd, from, size, flags) : ::send(fd, from, size, flags);
}

}  // namespace sys
}  // namespace corering::test
