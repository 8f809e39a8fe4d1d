/// outside.cpp — asks the operating system, or what stands for it on this thread.
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <source_location>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>

namespace corering {

bool Outside::owns(int fd) const noexcept { return fd >= os::first_simulated; }

namespace {

[[noreturn]] void only_a_world_knows() {
  fail_assertion("is_world()",
                 "only a simulated world is asked for threads, names, signals, children and stale sockets",
                 std::source_location::current());
}

}  // namespace

void Outside::run_elsewhere(std::move_only_function<void()>) { only_a_world_knows(); }
int Outside::look_up(const std::string&, const std::string&,
                     const std::function<void(const sockaddr*, socklen_t)>&) {
  only_a_world_knows();
}
int Outside::list_directory(int, const char*, const std::function<void(const std::string&, bool)>&) {
  only_a_world_knows();
}
int Outside::signal_descriptor(std::uint64_t) { only_a_world_knows(); }
int Outside::start_child(const std::vector<std::string>&, ChildStreams&, int&) { only_a_world_knows(); }
int Outside::signal_child(int, int) { only_a_world_knows(); }
void Outside::remove_stale_socket(const sockaddr*, socklen_t) { only_a_world_knows(); }

namespace os {
namespace {

constinit thread_local Outside* here = nullptr;
constinit std::atomic<int> first_asked_about = first_simulated;

int as_system_call(int result) noexcept {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

/// Returns who answers for a descriptor; null is the operating system.
[[gnu::noinline]] Outside* owner_of_asked_about(int fd) noexcept {
  CORERING_DEBUG_ASSERT(fd < first_simulated || here != nullptr,
                        "a simulated descriptor is used in its world");
  return here != nullptr && here->owns(fd) ? here : nullptr;
}

Outside* owner_of(int fd) noexcept {
  if (fd < first_asked_about.load(std::memory_order_relaxed)) [[likely]]
    return nullptr;
  return owner_of_asked_about(fd);
}

/// A simulated number that has outlived its world is no descriptor, however many this process has open.
int real(int fd) noexcept { return fd < first_simulated ? fd : -1; }

[[gnu::noinline]] int get_owned_option(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->get_option(fd, level, name, value, length))
                          : ::getsockopt(real(fd), level, name, value, length);
}

}  // namespace

Outside* outside() noexcept { return here; }

Outside* world() noexcept { return here != nullptr && here->is_world() ? here : nullptr; }

void ask_about_every_descriptor() noexcept { first_asked_about.store(0, std::memory_order_relaxed); }

Outside* set_outside(Outside* outside) noexcept {
  Outside* const before = here;
  here = outside;
  return before;
}

int socket(int family, int type) noexcept {
  return here != nullptr ? as_system_call(here->socket(family, type))
                         : ::socket(family, type | SOCK_CLOEXEC, 0);
}
int socket_pair(int type, int* ends) noexcept {
  return here != nullptr ? as_system_call(here->socket_pair(type, ends))
                         : ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends);
}
int pipe(int* ends) noexcept {
  return here != nullptr ? as_system_call(here->pipe(ends)) : ::pipe2(ends, O_CLOEXEC);
}
int bind(int fd, const sockaddr* name, socklen_t length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->bind(fd, name, length)) : ::bind(real(fd), name, length);
}
int listen(int fd, int backlog) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->listen(fd, backlog)) : ::listen(real(fd), backlog);
}
int connect(int fd, const sockaddr* name, socklen_t length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->connect(fd, name, length))
                          : ::connect(real(fd), name, length);
}
int set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->set_option(fd, level, name, value, length))
                          : ::setsockopt(real(fd), level, name, value, length);
}
// async_close() asks this each time, so what is real does not even look at the thread's variable.
int get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  if (fd < first_asked_about.load(std::memory_order_relaxed)) [[likely]]
    return ::getsockopt(fd, level, name, value, length);
  return get_owned_option(fd, level, name, value, length);
}
int local_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->local_name(fd, name, length))
                          : ::getsockname(real(fd), name, length);
}
int peer_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->peer_name(fd, name, length))
                          : ::getpeername(real(fd), name, length);
}
int close(int fd) noexcept {
  Outside* const owner = owner_of(fd);
  return owner != nullptr ? as_system_call(owner->close(fd)) : ::close(real(fd));
}

TimePoint now() noexcept { return here != nullptr ? here->now() : Clock::now(); }

}  // namespace os
}  // namespace corering
