/// machine.hpp — a kernel, and the system calls that scripts make beside its rings.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <corering/base/outside.hpp>
#include <corering/sim/faults.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel.hpp>

namespace corering::conformance {

/// What the functions of os (base/outside.hpp) lack. They return what the system call returns, or -errno.
/// While it lives, those functions are its own on this thread.
class Machine {
 public:
  Machine() = default;
  Machine(Machine&&) = delete;
  virtual ~Machine() = default;

  [[nodiscard]] virtual Kernel& kernel() noexcept = 0;

  /// What was done has arrived when it returns, as over a loopback device.
  virtual void settle() = 0;

  virtual int eventfd() = 0;
  virtual int accept(int listener) = 0;
  virtual int connect(int fd, const sockaddr* where, socklen_t length) = 0;  ///< waits
  virtual int open(const char* path, int flags) = 0;
  virtual int read(int fd, std::span<char> into) = 0;    ///< waits
  virtual int write(int fd, std::string_view from) = 0;  ///< waits
  virtual int write_at_begin(int fd, std::string_view from) = 0;
  virtual int receive_now(int fd, std::span<char> into) = 0;
  virtual int send_now(int fd, std::string_view from) = 0;

  [[nodiscard]] virtual bool is_open(int fd) = 0;
  [[nodiscard]] virtual bool is_closed_on_exec(int fd) = 0;
  virtual void set_nonblocking(int fd, bool is_so = true) = 0;
  [[nodiscard]] virtual bool is_nonblocking(int fd) = 0;
  [[nodiscard]] virtual std::size_t size_of_pipe(int fd) = 0;
  /// From now on there is no free descriptor, or there is again.
  virtual void let_open(bool may_open) = 0;

  [[nodiscard]] virtual std::string new_directory() = 0;  ///< it ends with a slash
  [[nodiscard]] virtual bool exists(const char* path) = 0;
  [[nodiscard]] virtual std::string content_of(const char* path) = 0;
  [[nodiscard]] virtual std::size_t size_of_file(int fd) = 0;

  [[nodiscard]] virtual Duration now_of(clockid_t clock) = 0;
};

/// The operating system, and this kernel.
[[nodiscard]] std::unique_ptr<Machine> real_machine(Kernel& kernel);

/// A simulated one of its own. The seed decides what is left to chance.
[[nodiscard]] std::unique_ptr<Machine> simulated_machine(std::uint64_t seed, const sim::Faults& faults = {});

}  // namespace corering::conformance
