/// simulated.hpp — the same tests in a simulated world, if CORERING_SIMULATED is set.
///
/// Then each case has a world of its own, from its begin to its end (simulated.cpp). Workers that are made on
/// its thread run on the simulated kernel, and the functions of `sys` are system calls of that world.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include <corering/core/worker.hpp>

namespace corering::test {

/// Returns true if this case runs in a world.
[[nodiscard]] bool is_simulated() noexcept;

/// Returns a worker of the case's world that nobody has used yet, which is running.
[[nodiscard]] Worker& next_simulated_worker();

/// Asks it to stop, and lets the world go on until it has ended.
void end_simulated_worker(Worker& worker);

/// Returns how many descriptors are open in the case's world.
[[nodiscard]] int simulated_descriptors();

/// Returns the path of a new directory, without a slash at its end.
[[nodiscard]] std::string make_temporary_directory();

[[nodiscard]] std::string content_of(const std::string& path);
void write_content(const std::string& path, std::string_view content);
[[nodiscard]] bool exists(const std::string& path);
[[nodiscard]] bool is_directory(const std::string& path);
[[nodiscard]] std::size_t links_of(const std::string& path);

/// System calls: those of the operating system, or in a world those of the world. In a world everything has
/// arrived that is on its way for at most a millisecond, as over a loopback device.
namespace sys {

int socket(int family, int type, int protocol);
int socketpair(int family, int type, int protocol, int* ends);
int pipe2(int* ends, int flags);
int bind(int fd, const sockaddr* name, socklen_t length);
int listen(int fd, int backlog);
int connect(int fd, const sockaddr* name, socklen_t length);
int accept4(int fd, sockaddr* name, socklen_t* length, int flags);
int setsockopt(int fd, int level, int name, const void* value, socklen_t length);
int getsockopt(int fd, int level, int name, void* value, socklen_t* length);
int getsockname(int fd, sockaddr* name, socklen_t* length);
int shutdown(int fd, int how);
int close(int fd);
int dup(int fd);  ///< in a world, a real descriptor is not there: then it makes something that can be closed
int fcntl(int fd, int command);                 ///< F_GETFD
off_t lseek(int fd, off_t offset, int whence);  ///< SEEK_CUR and 0
int clock_gettime(clockid_t clock, timespec* now);
int open(const char* path, int flags, mode_t mode = 0);
ssize_t read(int fd, void* into, std::size_t size);
ssize_t write(int fd, const void* from, std::size_t size);
ssize_t pread(int fd, void* into, std::size_t size, off_t offset);
ssize_t pwrite(int fd, const void* from, std::size_t size, off_t offset);
ssize_t recv(int fd, void* into, std::size_t size, int flags);
ssize_t send(int fd, const void* from, std::size_t size, int flags);

}  // namespace sys
}  // namespace corering::test
