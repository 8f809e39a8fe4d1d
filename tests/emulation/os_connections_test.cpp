/// os_connections_test.cpp — accept and connect of an emulated ring: they never block, and change nothing.
#include <cstring>
#include <poll.h>
#include <sys/un.h>
#include <thread>
#include <vector>

#include "emulation/os_world_fixture.hpp"

namespace corering::emulation {
namespace {

using Connections = OsWorldTest;

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

int unix_listener(const sockaddr_un& address, int backlog) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd, backlog), 0);
  return fd;
}

timeval time_limit(int fd, int option) {
  timeval limit{};
  socklen_t length = sizeof limit;
  EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, option, &limit, &length), 0);
  return limit;
}

TEST_F(Connections, an_accept_waits_for_a_connection_and_names_the_peer) {
  const Listener listener;
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  TestCall call(Opcode::accept, listener.fd);
  call.sqe.addr = address(&peer);
  call.at(address(&length));
  watch(call, attempt(call));
  EXPECT_FALSE(has_report());
  const int client = listener.connect();
  EXPECT_EQ(report().call, &call);
  call.was_ready = true;
  const Answer answer = attempt(call);
  ASSERT_EQ(answer.kind, Kind::done);
  ASSERT_GE(answer.result, 0);
  EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  EXPECT_EQ(length, sizeof peer);
  EXPECT_EQ(::fcntl(answer.result, F_GETFD) & FD_CLOEXEC, 0);
  ::close(answer.result);
  ::close(client);
}

TEST_F(Connections, what_is_made_for_a_table_is_closed_by_exec) {
  const Listener listener;
  const int client = listener.connect();
  TestCall call(Opcode::accept, listener.fd);
  call.keeps_private = true;
  const std::int32_t made = finish(call);
  ASSERT_GE(made, 0);
  EXPECT_NE(::fcntl(made, F_GETFD) & FD_CLOEXEC, 0);
  ::close(made);
  ::close(client);
}

TEST_F(Connections, an_accept_that_must_not_wait_fails_with_eagain) {
  const Listener listener;
  TestCall call(Opcode::accept, listener.fd);
  call.sqe.ioprio = uapi::accept_dontwait;
  EXPECT_EQ(finish(call), -EAGAIN);
}

// Somebody else took the connection between the report and the accept.
void expect_no_waiting_after_a_theft(World& world, int listener) {
  TestCall call(Opcode::accept, listener);
  call.was_ready = true;
  EXPECT_EQ(world.attempt(call).kind, Answer::Kind::waits);
  EXPECT_EQ(::fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Connections, an_accept_does_not_block_when_the_connection_was_taken) {
  const Listener listener;
  const timeval limit{.tv_sec = 7, .tv_usec = 0};
  ASSERT_EQ(::setsockopt(listener.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  expect_no_waiting_after_a_theft(world(), listener.fd);
  EXPECT_EQ(time_limit(listener.fd, SO_RCVTIMEO).tv_sec, 7);
}

TEST_F(Connections, an_accept_on_a_unix_socket_does_not_block_either) {
  const TemporaryFolder folder;
  const int listener = unix_listener(unix_address(folder.in("socket")), 8);
  expect_no_waiting_after_a_theft(world(), listener);
  EXPECT_EQ(time_limit(listener, SO_RCVTIMEO).tv_sec, 0);
  ::close(listener);
}

TEST_F(Connections, an_accept_on_a_nonblocking_listener_waits_too) {
  const Listener listener(SOCK_NONBLOCK);
  TestCall call(Opcode::accept, listener.fd);
  call.was_ready = true;
  EXPECT_EQ(attempt(call).kind, Kind::waits);
  EXPECT_NE(::fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Connections, what_does_not_listen_is_told_so_at_once) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const SocketPair pair(type);
    TestCall call(Opcode::accept, pair.first);
    EXPECT_EQ(finish(call), type == SOCK_STREAM ? -EINVAL : -EOPNOTSUPP);
  }
  const Pipe pipe;
  TestCall of_a_pipe(Opcode::accept, pipe.first);
  EXPECT_EQ(finish(of_a_pipe), -ENOTSOCK);
  TestCall of_nothing(Opcode::accept, -1);
  EXPECT_EQ(finish(of_nothing), -EBADF);
}

TEST_F(Connections, two_worlds_share_a_blocking_listener) {
  const Listener listener;
  constexpr int connections = 100;  // fewer than the line is long
  std::atomic<int> taken{0};
  const auto take = [&] {
    int error = 0;
    const std::unique_ptr<World> own = make_os_world(error, 4);
    ASSERT_NE(own, nullptr);
    TestCall call(Opcode::accept, listener.fd);
    while (taken.load() < connections) {
      const Answer answer = own->attempt(call);
      if (answer.kind == Kind::done) {
        ASSERT_GE(answer.result, 0);
        ::close(answer.result);
        ++taken;
        continue;
      }
      ASSERT_EQ(answer.kind, Kind::waits);
      ASSERT_EQ(own->watch(call, answer.fd, answer.events, Watching::once), 0);
      Report found;
      ASSERT_EQ(own->wait(std::chrono::milliseconds(20)), 0);
      call.was_ready = own->next(found);
      if (!call.was_ready) own->unwatch(call);
    }
  };
  std::thread first(take);
  std::thread second(take);
  for (int i = 0; i < connections; ++i) ::close(listener.connect());
  first.join();
  second.join();
  EXPECT_EQ(taken.load(), connections);
  EXPECT_EQ(time_limit(listener.fd, SO_RCVTIMEO).tv_sec, 0);
}

TEST_F(Connections, a_connection_is_made_without_blocking) {
  const Listener listener;
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  TestCall call(Opcode::connect, client);
  call.sqe.addr = address(&listener.address);
  call.at(sizeof listener.address);
  EXPECT_EQ(finish(call), 0);
  EXPECT_EQ(::fcntl(client, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(time_limit(client, SO_SNDTIMEO).tv_sec, 0);
  TestCall again(Opcode::connect, client);
  again.sqe.addr = address(&listener.address);
  again.at(sizeof listener.address);
  EXPECT_EQ(finish(again), -EISCONN);
  ::close(client);
}

TEST_F(Connections, a_refused_connection_says_so) {
  sockaddr_in nobody{};
  {
    const Listener listener;
    nobody = listener.address;
  }
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  TestCall call(Opcode::connect, client);
  call.sqe.addr = address(&nobody);
  call.at(sizeof nobody);
  EXPECT_EQ(finish(call), -ECONNREFUSED);
  ::close(client);
}

TEST_F(Connections, a_full_line_of_a_unix_listener_is_tried_again_later) {
  const TemporaryFolder folder;
  const sockaddr_un where = unix_address(folder.in("socket"));
  const int listener = unix_listener(where, 0);
  std::vector<int> clients;
  Answer answer;
  for (int i = 0; i < 8 && answer.kind == Kind::done; ++i) {
    clients.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    TestCall call(Opcode::connect, clients.back());
    call.sqe.addr = address(&where);
    call.at(sizeof where);
    answer = attempt(call);
    EXPECT_EQ(answer.result, 0);
  }
  EXPECT_EQ(answer.kind, Kind::later);
  EXPECT_GT(answer.again_after, Duration::zero());
  for (const int fd : clients) ::close(fd);
  ::close(listener);
}

TEST_F(Connections, sockets_are_made_and_named) {
  TestCall make(Opcode::socket, AF_INET);
  make.at(SOCK_STREAM);
  const std::int32_t fd = finish(make);
  ASSERT_GE(fd, 0);
  sockaddr_in where{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  TestCall bind(Opcode::bind, fd);
  bind.sqe.addr = address(&where);
  bind.at(sizeof where);
  EXPECT_EQ(finish(bind), 0);
  TestCall listen(Opcode::listen, fd);
  listen.sqe.len = 4;
  EXPECT_EQ(finish(listen), 0);
  TestCall shutdown(Opcode::shutdown, fd);
  shutdown.sqe.len = SHUT_RDWR;
  EXPECT_EQ(finish(shutdown), 0);
  TestCall close(Opcode::close, fd);
  EXPECT_EQ(finish(close), 0);
  TestCall again(Opcode::close, fd);
  EXPECT_EQ(finish(again), -EBADF);
}

TEST_F(Connections, a_sockets_options_and_queues_are_asked_for) {
  const Listener listener;
  const int client = listener.connect();
  int value = 0;
  TestCall get(Opcode::uring_cmd, client);
  get.at(uapi::socket_getsockopt);
  get.sqe.addr = static_cast<std::uint64_t>(SOL_SOCKET) | std::uint64_t{SO_TYPE} << 32;
  get.sqe.addr3 = address(&value);
  get.sqe.file_index = sizeof value;
  EXPECT_EQ(finish(get), static_cast<std::int32_t>(sizeof value));
  EXPECT_EQ(value, SOCK_STREAM);
  const int one = 1;
  TestCall set(Opcode::uring_cmd, client);
  set.at(uapi::socket_setsockopt);
  set.sqe.addr = static_cast<std::uint64_t>(SOL_SOCKET) | std::uint64_t{SO_KEEPALIVE} << 32;
  set.sqe.addr3 = address(&one);
  set.sqe.file_index = sizeof one;
  EXPECT_EQ(finish(set), 0);
  TestCall queued(Opcode::uring_cmd, client);
  queued.at(uapi::socket_siocinq);
  EXPECT_EQ(finish(queued), 0);
  const Pipe pipe;
  TestCall of_a_pipe(Opcode::uring_cmd, pipe.first);
  of_a_pipe.at(uapi::socket_siocinq);
  EXPECT_EQ(finish(of_a_pipe), -EOPNOTSUPP);
  TestCall unknown(Opcode::uring_cmd, client);
  unknown.at(999);
  EXPECT_EQ(finish(unknown), -EOPNOTSUPP);
  ::close(client);
}

}  // namespace
}  // namespace corering::emulation
