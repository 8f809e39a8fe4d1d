/// io_test.cpp — runs every operation for real, and checks its result and its error.
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::SocketPair;
using test::TemporaryDirectory;

/// A worker, a directory and a pair of sockets to try operations on.
class Io : public testing::Test {
 protected:
  template <class T>
  Result<T> on_worker(const IoOperation<T>& operation) {
    return sync_wait(operation.on(running_.worker));
  }
  std::string make_file(std::string_view content) {
    std::string path = directory_ / "file";
    test::write_content(path, content);
    return path;
  }
  static Fd open_file(const std::string& path, int flags) {
    return Fd(test::sys::open(path.c_str(), flags | O_CLOEXEC));
  }

  TemporaryDirectory directory_;
  SocketPair sockets_;
  std::array<std::byte, 64> buffer_{};
  test::RunningWorker running_;
};

TEST_F(Io, nop) { EXPECT_TRUE(on_worker(async_nop())); }

TEST_F(Io, openat_owns_a_close_on_exec_descriptor) {
  const std::string path = make_file("x");
  const Result<Fd> opened = on_worker(async_openat(AT_FDCWD, path.c_str(), O_RDONLY));
  ASSERT_TRUE(opened);
  EXPECT_EQ(test::sys::fcntl(opened->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
TEST_F(Io, openat_creates_with_the_mode_given) {
  const std::string path = directory_ / "new";
  ASSERT_TRUE(on_worker(async_openat(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600)));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}
TEST_F(Io, openat_of_nothing) {
  EXPECT_EQ(on_worker(async_openat(AT_FDCWD, (directory_ / "none").c_str(), O_RDONLY)).error(),
            std::errc::no_such_file_or_directory);
}

Task<Result<void>> close_on(Worker& worker, Fd fd) {
  const Result<void> hopped = co_await SwitchToWorker(worker);
  if (!hopped) co_return hopped;
  co_return co_await async_close(std::move(fd));
}
TEST_F(Io, close_closes) {
  const int number = test::sys::dup(0);
  EXPECT_TRUE(sync_wait(close_on(running_.worker, Fd(number))));
  EXPECT_LT(test::sys::fcntl(number, F_GETFD), 0);
}
TEST_F(Io, close_of_a_number_that_is_not_open) {
  EXPECT_EQ(sync_wait(close_on(running_.worker, Fd(9999))).error(), std::errc::bad_file_descriptor);
}
TEST_F(Io, a_close_that_is_never_awaited_closes_too) {
  const int number = test::sys::dup(0);
  {
    const CloseOperation dropped = async_close(Fd(number));
  }
  EXPECT_LT(test::sys::fcntl(number, F_GETFD), 0);
}

TEST_F(Io, read_at_an_offset) {
  const Fd file = open_file(make_file("hello, ring"), O_RDONLY);
  EXPECT_EQ(on_worker(async_read(file.get(), buffer_, 7)), 4U);
  EXPECT_EQ(std::memcmp(buffer_.data(), "ring", 4), 0);
}
TEST_F(Io, read_at_the_end) {
  const Fd file = open_file(make_file("hello"), O_RDONLY);
  EXPECT_EQ(on_worker(async_read(file.get(), buffer_, 5)), 0U);
}
TEST_F(Io, read_at_the_files_own_position_moves_it) {
  const Fd file = open_file(make_file("abcdef"), O_RDONLY);
  EXPECT_EQ(on_worker(async_read(file.get(), std::span(buffer_).first(3), current_position)), 3U);
  EXPECT_EQ(on_worker(async_read(file.get(), buffer_, current_position)), 3U);
  EXPECT_EQ(std::memcmp(buffer_.data(), "def", 3), 0);
}
TEST_F(Io, read_of_a_directory) {
  const Fd directory = open_file(directory_ / "", O_RDONLY);
  EXPECT_EQ(on_worker(async_read(directory.get(), buffer_, 0)).error(), std::errc::is_a_directory);
}
TEST_F(Io, read_into_nothing) {
  const Fd file = open_file(make_file("hello"), O_RDONLY);
  EXPECT_EQ(on_worker(async_read(file.get(), {}, 0)), 0U);
}

TEST_F(Io, write_then_fsync_is_on_disk) {
  const std::string path = make_file("");
  const Fd file = open_file(path, O_WRONLY);
  EXPECT_EQ(on_worker(async_write(file.get(), bytes_of("written"), 3)), 7U);
  EXPECT_TRUE(on_worker(async_fsync(file.get())));
  EXPECT_TRUE(on_worker(async_fsync(file.get(), Sync::data_only)));
  std::string content;
  std::getline(std::ifstream(path), content);
  EXPECT_EQ(content, std::string("\0\0\0written", 10));
}
TEST_F(Io, write_to_a_file_open_for_reading) {
  const Fd file = open_file(make_file(""), O_RDONLY);
  EXPECT_EQ(on_worker(async_write(file.get(), bytes_of("x"), 0)).error(), std::errc::bad_file_descriptor);
}
TEST_F(Io, fsync_of_a_socket) {
  EXPECT_EQ(on_worker(async_fsync(sockets_.ours.get())).error(), std::errc::invalid_argument);
}

TEST_F(Io, statx_of_a_path_and_of_an_open_file) {
  const std::string path = make_file("12345");
  struct statx status{};
  ASSERT_TRUE(on_worker(async_statx(AT_FDCWD, path.c_str(), 0, STATX_SIZE, status)));
  EXPECT_EQ(status.stx_size, 5U);
  const Fd file = open_file(path, O_RDONLY);
  status = {};
  ASSERT_TRUE(on_worker(async_statx(file.get(), "", AT_EMPTY_PATH, STATX_SIZE, status)));
  EXPECT_EQ(status.stx_size, 5U);
}
TEST_F(Io, statx_of_nothing) {
  struct statx status{};
  EXPECT_EQ(on_worker(async_statx(AT_FDCWD, (directory_ / "none").c_str(), 0, STATX_SIZE, status)).error(),
            std::errc::no_such_file_or_directory);
}

TEST_F(Io, send_arrives_at_recv) {
  EXPECT_EQ(on_worker(async_send(sockets_.ours.get(), bytes_of("ping"))), 4U);
  EXPECT_EQ(on_worker(async_recv(sockets_.theirs.get(), buffer_)), 4U);
  EXPECT_EQ(std::memcmp(buffer_.data(), "ping", 4), 0);
}
TEST_F(Io, recv_waits_for_the_peer) {
  test::FaultyKernel kernel;
  test::RunningWorker running({.kernel = &kernel});
  kernel.wait_until_asleep();
  std::thread peer([this, &kernel, slept = kernel.sleeps.load()] {
    kernel.wait_for_sleep_after(slept);  // now it waits for the bytes
    EXPECT_EQ(test::sys::write(sockets_.theirs.get(), "late", 4), 4);
  });
  EXPECT_EQ(sync_wait(async_recv(sockets_.ours.get(), buffer_).on(running.worker)), 4U);
  peer.join();
}
TEST_F(Io, recv_from_a_closed_peer_is_the_end) {
  sockets_.theirs.reset();
  EXPECT_EQ(on_worker(async_recv(sockets_.ours.get(), buffer_)), 0U);
}
TEST_F(Io, recv_on_a_file) {
  const Fd file = open_file(make_file(""), O_RDONLY);
  EXPECT_EQ(on_worker(async_recv(file.get(), buffer_)).error(), std::errc::not_a_socket);
}
// The process has the default disposition of SIGPIPE. If the signal had been raised, it would have ended this
// test.
TEST_F(Io, send_to_a_closed_peer_is_an_error_and_no_signal) {
  sockets_.theirs.reset();
  EXPECT_EQ(on_worker(async_send(sockets_.ours.get(), bytes_of("x"))).error(), std::errc::broken_pipe);
}
TEST_F(Io, send_with_waitall_sends_more_than_the_socket_holds) {
  const std::vector<std::byte> many(4U << 20);
  std::size_t received = 0;
  std::thread peer([&] {
    std::vector<char> sink(1U << 16);
    while (received < many.size()) {
      const ssize_t got = test::sys::read(sockets_.theirs.get(), sink.data(), sink.size());
      if (got <= 0) break;
      received += static_cast<std::size_t>(got);
    }
  });
  EXPECT_EQ(on_worker(async_send(sockets_.ours.get(), many, MSG_WAITALL)), many.size());
  peer.join();
  EXPECT_EQ(received, many.size());
}

/// A listening TCP socket of the loopback interface.
struct Listener {
  Listener() : fd(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(test::sys::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(test::sys::listen(fd.get(), 8), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(test::sys::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  }
  [[nodiscard]] const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  Fd fd;
};

TEST_F(Io, connect_meets_accept) {
  const Listener listener;
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(on_worker(async_connect(client.get(), listener.name(), sizeof listener.address)));
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  const Result<Fd> accepted =
      on_worker(async_accept(listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &length));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  EXPECT_EQ(test::sys::fcntl(accepted->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
TEST_F(Io, connect_to_a_port_nobody_listens_on) {
  Listener listener;
  const sockaddr_in address = listener.address;
  listener.fd.reset();
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(
      on_worker(async_connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address))
          .error(),
      std::errc::connection_refused);
}
TEST_F(Io, accept_on_a_socket_that_does_not_listen) {
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(on_worker(async_accept(client.get())).error(), std::errc::invalid_argument);
}

TEST_F(Io, poll_says_what_holds) {
  EXPECT_EQ(on_worker(async_poll(sockets_.ours.get(), POLLOUT)), static_cast<unsigned>(POLLOUT));
  sockets_.theirs.reset();
  EXPECT_TRUE(*on_worker(async_poll(sockets_.ours.get(), POLLIN)) & POLLHUP);
}
TEST_F(Io, poll_of_a_number_that_is_not_open) {
  EXPECT_EQ(on_worker(async_poll(9999, POLLIN)).error(), std::errc::bad_file_descriptor);
}

Task<void> receive_until_cancelled(int fd, std::span<std::byte> buffer, std::error_code& ended) {
  const Result<std::size_t> got = co_await async_recv(fd, buffer);
  if (!got) ended = got.error();
}
Task<Result<unsigned>> cancel_two(int fd, std::span<std::byte> buffer, std::error_code& first,
                                  std::error_code& second) {
  JoinHandle<void> one = spawn(receive_until_cancelled(fd, buffer.first(8), first));
  JoinHandle<void> two = spawn(receive_until_cancelled(fd, buffer.last(8), second));
  (void)co_await async_nop();  // by now both have been submitted
  const Result<unsigned> found = co_await async_cancel(fd);
  co_await std::move(one);
  co_await std::move(two);
  co_return found;
}
TEST_F(Io, cancel_ends_every_operation_on_a_descriptor) {
  std::error_code first, second;
  auto handle = running_.worker.spawn(cancel_two(sockets_.ours.get(), buffer_, first, second));
  EXPECT_EQ(sync_wait(std::move(*handle)), 2U);
  EXPECT_EQ(first, std::errc::operation_canceled);
  EXPECT_EQ(second, std::errc::operation_canceled);
}
TEST_F(Io, cancel_on_a_descriptor_with_nothing_in_flight) {
  const Result<unsigned> found = on_worker(async_cancel(sockets_.ours.get()));
  EXPECT_EQ(found, 0U);
}

TEST_F(Io, the_flags_of_a_request_change_how_it_is_done) {
  const Fd file = open_file(make_file("hello"), O_RDONLY);
  EXPECT_EQ(on_worker(async_read(file, buffer_, 0).forced_async()), 5U);
  EXPECT_EQ(test::sys::write(sockets_.theirs.get(), "x", 1), 1);
  EXPECT_EQ(on_worker(poll_first(async_recv(sockets_.ours, buffer_))), 1U);
  const Listener listener;
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(on_worker(async_connect(client, listener.name(), sizeof listener.address)));
  const Result<Fd> accepted = on_worker(poll_first(async_accept(listener.fd)));
  if (test::kernel_has(Feature::accept_dontwait)) {  // both came with 6.10
    EXPECT_TRUE(accepted) << accepted.error().message();
  } else {
    EXPECT_EQ(accepted.error(), std::errc::invalid_argument);
  }
}

// If a length does not fit the SQE, the call is shorter; the length does not wrap around. The pages beyond
// the file are never touched.
TEST_F(Io, a_buffer_beyond_four_gigabytes_reads_what_is_there) {
  const Fd file = open_file(make_file("small"), O_RDONLY);
  const std::span<std::byte> huge(buffer_.data(), (std::size_t{1} << 32) + 1);
  EXPECT_EQ(on_worker(async_read(file.get(), huge, 0)), 5U);
}

}  // namespace
}  // namespace corering
