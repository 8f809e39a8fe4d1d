/// outside.hpp — the system calls that the library makes beside its rings, and who answers them.
///
/// Usually that is the operating system. On a thread with a simulated world (sim/sim.hpp) it is that world:
/// its descriptors are numbers that no real descriptor has. While a run is recorded or replayed
/// (replay/replay.hpp), every call on its thread passes there.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <corering/base/time.hpp>

namespace corering {

class Kernel;

/// The standard streams of a child that are pipes to this process, and our ends of them.
struct ChildStreams {
  std::array<bool, 3> are_pipes{};
  std::array<int, 3> ours = {-1, -1, -1};
};

/// What stands for the operating system. Its functions return what the system call returns, or -errno.
class Outside {
 public:
  virtual ~Outside() = default;

  /// Returns false if time and everything else go on by themselves, as they do without an Outside.
  [[nodiscard]] virtual bool is_world() const noexcept { return true; }
  /// Returns true if calls on this descriptor belong here. A world has those from os::first_simulated on.
  [[nodiscard]] virtual bool owns(int fd) const noexcept;

  /// Returns the kernel of workers that are made on its thread, or null if that is the default.
  [[nodiscard]] virtual Kernel* kernel() const noexcept { return nullptr; }

  virtual int socket(int family, int type) noexcept = 0;
  virtual int socket_pair(int type, int* ends) noexcept = 0;
  virtual int pipe(int* ends) noexcept = 0;
  virtual int bind(int fd, const sockaddr* name, socklen_t length) noexcept = 0;
  virtual int listen(int fd, int backlog) noexcept = 0;
  virtual int connect(int fd, const sockaddr* name, socklen_t length) noexcept = 0;
  virtual int set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept = 0;
  virtual int get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept = 0;
  virtual int local_name(int fd, sockaddr* name, socklen_t* length) noexcept = 0;
  virtual int peer_name(int fd, sockaddr* name, socklen_t* length) noexcept = 0;
  virtual int close(int fd) noexcept = 0;

  [[nodiscard]] virtual TimePoint now() const noexcept = 0;

  /// Called by a plain thread that has to wait: lets everything else go on until `has_come(what)` is true.
  virtual void wait_for(bool (*has_come)(const void*), const void* what) noexcept = 0;

  // ---- asked of a world only: without one, the library does these itself ----

  /// Runs `job` as another thread would: soon, and not in a worker's turn.
  virtual void run_elsewhere(std::move_only_function<void()> job);
  /// Does what getaddrinfo(3) does, for stream sockets, and tells `found` each address. Returns 0 or EAI_*.
  virtual int look_up(const std::string& host, const std::string& service,
                      const std::function<void(const sockaddr*, socklen_t)>& found);
  /// Tells `found` each name in the directory `path` below `at`, and whether that is a directory.
  virtual int list_directory(int at, const char* path,
                             const std::function<void(const std::string&, bool)>& found);
  /// Blocks the signals, one bit each from the lowest one on, and returns a signalfd for them.
  virtual int signal_descriptor(std::uint64_t signals);
  /// Returns the pidfd of a new child, and its number in `pid`.
  virtual int start_child(const std::vector<std::string>& arguments, ChildStreams& streams, int& pid);
  virtual int signal_child(int pidfd, int signal);
  /// Removes the file of a Unix socket at which nobody listens; nothing else, and if it is not there,
  /// nothing.
  virtual void remove_stale_socket(const sockaddr* name, socklen_t length);
};

/// Calls of the operating system, or of what stands for it. They return what the system call returns, and set
/// errno.
namespace os {

/// Descriptors from here on belong to an Outside. No process has so many.
inline constexpr int first_simulated = 1 << 24;

/// Returns what stands for the operating system on the calling thread, or null.
[[nodiscard]] Outside* outside() noexcept;
/// The same, if it is a world.
[[nodiscard]] Outside* world() noexcept;
/// Sets it, and returns the one before.
Outside* set_outside(Outside* outside) noexcept;
/// From now on, every descriptor is asked about, and not only simulated ones.
void ask_about_every_descriptor() noexcept;

[[nodiscard]] int socket(int family, int type) noexcept;
[[nodiscard]] int socket_pair(int type, int* ends) noexcept;  ///< Unix sockets
[[nodiscard]] int pipe(int* ends) noexcept;
int bind(int fd, const sockaddr* name, socklen_t length) noexcept;
int listen(int fd, int backlog) noexcept;
int connect(int fd, const sockaddr* name, socklen_t length) noexcept;
int set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept;
int get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept;
int local_name(int fd, sockaddr* name, socklen_t* length) noexcept;
int peer_name(int fd, sockaddr* name, socklen_t* length) noexcept;
int close(int fd) noexcept;

/// Returns the time of CLOCK_MONOTONIC, or the simulated one.
[[nodiscard]] TimePoint now() noexcept;

}  // namespace os
}  // namespace corering
