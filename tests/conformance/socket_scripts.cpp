/// socket_scripts.cpp — connecting, accepting, sending and receiving, one at a time.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

SCRIPTS(Sockets);

TEST_P(Sockets, receive_what_is_there_at_once) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  outside.write(pair.theirs, "hello");
  script.submit({recv(1, pair.ours, into)});
  script.expect({{1, 5}});
  EXPECT_EQ(into, "hello...........");
}

TEST_P(Sockets, receive_what_comes_later) {
  const Pair pair = outside.tcp_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into)});
  script.expect_silence();
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5}});
  EXPECT_EQ(into.substr(0, 5), "hello");
}

TEST_P(Sockets, share_what_comes_when_two_ask) {
  const Pair pair = outside.socket_pair();
  std::string& first = outside.room(1);
  std::string& second = outside.room(1);
  script.submit({recv(1, pair.ours, first), recv(2, pair.ours, second)});
  outside.write(pair.theirs, "ab");
  script.expect_in_any_order({{1, 1}, {2, 1}});
  const std::string both = first + second;
  EXPECT_TRUE(both == "ab" || both == "ba") << both;  // who asked first need not be served first
}

TEST_P(Sockets, receive_zero_at_the_end) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into)});
  outside.close(pair.theirs);
  script.expect({{1, 0}});
}

TEST_P(Sockets, receive_zero_when_they_are_shut_down) {
  for (const Pair& pair : {outside.socket_pair(), outside.tcp_pair()}) {
    std::string& into = outside.room(16);
    script.submit({recv(1, pair.ours, into)});
    script.expect_silence();
    script.submit({shutdown(2, pair.ours, SHUT_RDWR)});
    script.expect_in_any_order({{1, 0}, {2, 0}});
  }
}

TEST_P(Sockets, go_on_receiving_when_their_number_is_closed) {
  DIFFERS_WHEN_EMULATED("a request does not keep a file whose number is closed");
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into)});
  outside.close(pair.ours);
  script.expect_silence();
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5}});
}

TEST_P(Sockets, go_on_receiving_when_their_number_belongs_to_another) {
  DIFFERS_WHEN_EMULATED("a request does not keep a file whose number is closed");
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into)});
  const int number = pair.ours;
  outside.close(number);
  const Pair next = outside.socket_pair();
  ASSERT_TRUE(next.ours == number || next.theirs == number);
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5}});
  EXPECT_EQ(into.substr(0, 5), "hello");
}

TEST_P(Sockets, receive_all_when_told_to_wait_for_all) {
  const Pair pair = outside.tcp_pair();
  std::string& into = outside.room(10);
  script.submit({recv(1, pair.ours, into, MSG_WAITALL)});
  outside.write(pair.theirs, "hello");
  script.expect_silence();
  outside.write(pair.theirs, "world");
  script.expect({{1, 10}});
  EXPECT_EQ(into, "helloworld");
}

TEST_P(Sockets, receive_less_than_all_at_the_end) {
  const Pair pair = outside.tcp_pair();
  std::string& into = outside.room(10);
  script.submit({recv(1, pair.ours, into, MSG_WAITALL)});
  outside.write(pair.theirs, "hello");
  outside.close(pair.theirs);
  script.expect({{1, 5}});
}

TEST_P(Sockets, peek_without_taking) {
  const Pair pair = outside.socket_pair();
  std::string& peeked = outside.room(3);
  std::string& into = outside.room(16);
  outside.write(pair.theirs, "hello");
  script.submit({recv(1, pair.ours, peeked, MSG_PEEK)});
  script.expect({{1, 3}});
  script.submit({recv(2, pair.ours, into)});
  script.expect({{2, 5}});
}

TEST_P(Sockets, do_not_wait_when_told_not_to) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into, MSG_DONTWAIT)});
  script.expect({{1, -EAGAIN}});
}

TEST_P(Sockets, throw_away_what_is_received_with_trunc) {
  const Pair pair = outside.tcp_pair();
  std::string& into = outside.room(16);
  outside.write(pair.theirs, "hello");
  script.submit({recv(1, pair.ours, into, MSG_TRUNC)});
  script.expect({{1, 5}});
  EXPECT_EQ(into, "................");
}

TEST_P(Sockets, wait_for_readiness_first_when_told_to) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  script.submit({recv(1, pair.ours, into).ioprio(uapi::recvsend_poll_first)});
  script.expect_silence();
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5}});
}

TEST_P(Sockets, answer_a_datagrams_length_when_it_is_cut) {
  const Pair pair = outside.socket_pair(SOCK_DGRAM);
  std::string& into = outside.room(4);
  outside.write(pair.theirs, "a datagram");
  outside.write(pair.theirs, "another one");
  script.submit({recv(1, pair.ours, into), recv(2, pair.ours, into, MSG_TRUNC)});
  script.expect({{1, 4}, {2, 11}});
}

TEST_P(Sockets, that_are_none_say_so) {
  const int file = outside.file("text");
  std::string& into = outside.room(4);
  script.submit({recv(1, file, into), send(2, file, "text"), accept(3, file), recv(4, -1, into)});
  script.expect({{1, -ENOTSOCK}, {2, -ENOTSOCK}, {3, -ENOTSOCK}, {4, -EBADF}});
}

TEST_P(Sockets, that_are_not_connected_say_so) {
  const int socket = outside.tcp_socket();
  std::string& into = outside.room(4);
  script.submit({recv(1, socket, into), shutdown(2, socket, SHUT_RDWR)});
  script.expect({{1, -ENOTCONN}, {2, -ENOTCONN}});
}

// ---- sending ----

TEST_P(Sockets, send) {
  const Pair pair = outside.tcp_pair();
  script.submit({send(1, pair.ours, "hello")});
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");
}

TEST_P(Sockets, send_when_there_is_room_again) {
  const Pair pair = outside.socket_pair();
  outside.fill(pair.ours);
  script.submit({send(1, pair.ours, "hello")});
  script.expect_silence();
  outside.drain(pair.theirs);
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");
}

TEST_P(Sockets, send_a_part_of_much) {
  const Pair pair = outside.socket_pair();
  const std::string& much = outside.room(4 << 20);
  script.submit({send(1, pair.ours, much)});
  const int sent = script.result_of(1);
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, 4 << 20);
}

TEST_P(Sockets, send_all_when_told_to_wait_for_all) {
  const Pair pair = outside.socket_pair();
  const std::string& much = outside.room(4 << 20);
  script.submit({send(1, pair.ours, much, MSG_WAITALL)});
  std::size_t received = 0;
  std::optional<Cqe> cqe;
  while (!cqe && received < much.size()) {
    received += outside.read(pair.theirs, 65536).size();
    script.enter(0, uapi::enter_getevents);
    cqe = script.reap();
  }
  if (!cqe) cqe = script.next();
  ASSERT_TRUE(cqe);
  EXPECT_EQ(cqe->res, 4 << 20);
}

TEST_P(Sockets, send_to_nobody_without_a_signal_and_write_with_one) {
  NOT_SIMULATED("signals");
  static volatile std::sig_atomic_t signals = 0;
  struct sigaction count{};
  struct sigaction before{};
  count.sa_handler = [](int) { signals = signals + 1; };
  ASSERT_EQ(::sigaction(SIGPIPE, &count, &before), 0);
  signals = 0;
  const Pair pair = outside.socket_pair();
  outside.close(pair.theirs);
  script.submit({send(1, pair.ours, "hello")});
  script.expect({{1, -EPIPE}});
  EXPECT_EQ(signals, 0);
  script.submit({write(2, pair.ours, "hello")});
  script.expect({{2, -EPIPE}});
  EXPECT_EQ(signals, 1);
  ::sigaction(SIGPIPE, &before, nullptr);
}

TEST_P(Sockets, send_and_receive_messages_in_parts) {
  const Pair pair = outside.socket_pair();
  std::string& first = outside.room(3);
  std::string& second = outside.room(16);
  auto& from =
      outside.object(std::array<iovec, 2>{{{const_cast<char*>("abcd"), 4}, {const_cast<char*>("efg"), 3}}});
  auto& into = outside.object(std::array<iovec, 2>{{{first.data(), 3}, {second.data(), 16}}});
  auto& sent = outside.object(msghdr{.msg_iov = from.data(), .msg_iovlen = 2});
  auto& received = outside.object(msghdr{.msg_iov = into.data(), .msg_iovlen = 2});
  script.submit({recvmsg(1, pair.ours, received)});
  script.expect_silence();
  script.submit({sendmsg(2, pair.theirs, sent)});
  script.expect_in_any_order({{1, 7}, {2, 7}});
  EXPECT_EQ(first + second.substr(0, 4), "abcdefg");
}

TEST_P(Sockets, send_many_parts_in_one_request) {
  NEEDS(Feature::send_vectorized);
  const Pair pair = outside.socket_pair();
  auto& from =
      outside.object(std::array<iovec, 2>{{{const_cast<char*>("abcd"), 4}, {const_cast<char*>("efg"), 3}}});
  script.submit({about(1, Opcode::send, pair.ours, from.data(), 2).ioprio(uapi::send_vectorized)});
  script.expect({{1, 7}});
  EXPECT_EQ(outside.read(pair.theirs, 16), "abcdefg");
}

TEST_P(Sockets, are_told_who_sent_a_datagram) {
  const int ours = outside.udp_socket();
  const int theirs = outside.udp_socket();
  auto& our_address = outside.object(outside.bind_somewhere(ours));
  auto& their_address = outside.object(outside.bind_somewhere(theirs));
  auto& sender = outside.object(sockaddr_in{});
  std::string& buffer = outside.room(16);
  auto& part = outside.object(iovec{buffer.data(), buffer.size()});
  auto& message = outside.object(
      msghdr{.msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &part, .msg_iovlen = 1});
  Entry to_us = send(2, theirs, "hello");
  to_us.sqe.off = address(&our_address);
  to_us.sqe.file_index = sizeof our_address;
  script.submit({recvmsg(1, ours, message)});
  script.submit({to_us});
  script.expect_in_any_order({{1, 5}, {2, 5}});
  EXPECT_EQ(sender.sin_port, their_address.sin_port);
}

// ---- accepting and connecting ----

TEST_P(Sockets, accept_who_waits_already) {
  const TcpListener listener = outside.tcp_listener();
  const int client = outside.connected_to(listener.address);
  script.submit({accept(1, listener.fd)});
  const int accepted = outside.keep(script.result_of(1));
  outside.write(client, "hello");
  EXPECT_EQ(outside.read(accepted, 16), "hello");
  EXPECT_TRUE(outside.is_closed_on_exec(accepted));
}

TEST_P(Sockets, accept_who_comes_later_and_tell_from_where) {
  const TcpListener listener = outside.tcp_listener();
  auto& peer = outside.object(sockaddr_in{});
  auto& length = outside.object(socklen_t{sizeof peer});
  Entry entry = accept(1, listener.fd);
  entry.sqe.addr = address(&peer);
  entry.sqe.off = address(&length);
  script.submit({entry});
  script.expect_silence();
  const int client = outside.connected_to(listener.address);
  outside.keep(script.result_of(1));
  EXPECT_EQ(peer.sin_port, outside.address_of(client).sin_port);
  EXPECT_EQ(length, sizeof peer);
}

TEST_P(Sockets, accept_one_each_when_two_ask) {
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept(1, listener.fd), accept(2, listener.fd)});
  outside.connected_to(listener.address);
  const std::optional<Cqe> first = script.next();
  script.expect_silence();
  outside.connected_to(listener.address);
  const std::optional<Cqe> second = script.next();
  ASSERT_TRUE(first && second);
  outside.keep(first->res);
  outside.keep(second->res);
  EXPECT_NE(first->user_data, second->user_data);
}

TEST_P(Sockets, do_not_wait_for_a_connection_when_told_not_to) {
  NEEDS(Feature::accept_dontwait);
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept(1, listener.fd).ioprio(uapi::accept_dontwait)});
  script.expect({{1, -EAGAIN}});
}

TEST_P(Sockets, that_do_not_listen_accept_nobody) {
  const int socket = outside.tcp_socket();
  script.submit({accept(1, socket)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Sockets, connect) {
  const TcpListener listener = outside.tcp_listener();
  const int client = outside.tcp_socket();
  script.submit({accept(1, listener.fd), connect(2, client, &listener.address, sizeof listener.address)});
  script.expect_in_any_order({{1, Answer::at_least(0)}, {2, 0}});
  script.submit({connect(3, client, &listener.address, sizeof listener.address)});
  script.expect({{3, -EISCONN}});
}

TEST_P(Sockets, are_refused_where_nobody_listens) {
  const sockaddr_in nowhere = outside.closed_address();
  const int client = outside.tcp_socket();
  script.submit({connect(1, client, &nowhere, sizeof nowhere)});
  script.expect({{1, -ECONNREFUSED}});
}

TEST_P(Sockets, are_not_found_where_there_is_no_path) {
  const int client = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  sockaddr_un nowhere{.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};
  script.submit({connect(1, client, &nowhere, sizeof nowhere)});
  script.expect({{1, -ENOENT}});
}

sockaddr_un unix_address(const char* path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (std::strlen(path) >= sizeof address.sun_path) std::abort();
  std::strcpy(address.sun_path, path);
  return address;
}

int bind_to(int fd, const sockaddr_un& address) {
  errno = 0;
  return os::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : -errno;
}

TEST_P(Sockets, with_a_path_are_files) {
  const char* const path = outside.path("socket");
  const sockaddr_un address = unix_address(path);
  const int first = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  ASSERT_EQ(bind_to(first, address), 0);
  EXPECT_TRUE(outside.exists(path));
  outside.close(first);
  const int second = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  EXPECT_EQ(bind_to(second, address), -EADDRINUSE) << "the file stays when the socket is closed";
  const int client = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  script.submit({connect(1, client, &address, sizeof address)});
  script.expect({{1, -ECONNREFUSED}});
  script.submit({openat(2, path, O_RDWR)});
  script.expect({{2, -ENXIO}});
  script.submit({on_path(3, Opcode::unlinkat, path)});
  script.expect({{3, 0}});
  EXPECT_EQ(bind_to(second, address), 0);
  const int third = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  const std::string nowhere = std::string(outside.path("nowhere")) + "/socket";
  EXPECT_EQ(bind_to(third, unix_address(nowhere.c_str())), -ENOENT);
}

TEST_P(Sockets, that_have_moved_are_found_at_their_new_path) {
  const char* const path = outside.path("old");
  const char* const moved = outside.path("new");
  const int listener = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  ASSERT_EQ(bind_to(listener, unix_address(path)), 0);
  ASSERT_EQ(os::listen(listener, 4), 0);
  script.submit({on_paths(1, Opcode::renameat, path, moved)});
  script.expect({{1, 0}});
  const sockaddr_un address = unix_address(moved);
  const int client = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  const int datagrams = outside.keep(os::socket(AF_UNIX, SOCK_DGRAM));
  script.submit({connect(2, client, &address, sizeof address)});
  script.expect({{2, 0}});
  script.submit({connect(3, datagrams, &address, sizeof address)});
  script.expect({{3, -EPROTOTYPE}});
}

TEST_P(Sockets, of_this_machine_wait_for_room_in_the_line) {
  const sockaddr_un address = unix_address(outside.path("socket"));
  const int listener = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  ASSERT_EQ(bind_to(listener, address), 0);
  ASSERT_EQ(os::listen(listener, 0), 0);  // there is room for one
  const int first = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  script.submit({connect(1, first, &address, sizeof address)});
  script.expect({{1, 0}});
  const int refused = outside.keep(os::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK));
  script.submit({connect(2, refused, &address, sizeof address)});
  script.expect({{2, -EAGAIN}});
  const int second = outside.keep(os::socket(AF_UNIX, SOCK_STREAM));
  script.submit({connect(3, second, &address, sizeof address).async(), timeout(5, 20ms)});
  script.expect({{5, -ETIME}});  // by then a helper has found the line full
  script.submit({accept(4, listener)});
  script.expect_in_any_order({{3, 0}, {4, Answer::at_least(0)}});
}

TEST_P(Sockets, of_datagrams_learn_that_nobody_is_there) {
  const int socket = outside.udp_socket();
  const sockaddr_in nobody = outside.closed_address();
  std::string& into = outside.room(4);
  script.submit({connect(1, socket, &nobody, sizeof nobody)});
  script.expect({{1, 0}});
  script.submit({recv(2, socket, into)});
  script.expect_silence();
  script.submit({send(3, socket, "hello")});
  script.expect_in_any_order({{3, 5}, {2, -ECONNREFUSED}});
}

TEST_P(Sockets, of_datagrams_are_shut_down_when_they_are_connected) {
  const Pair pair = outside.udp_pair();
  std::string& into = outside.room(4);
  script.submit({shutdown(1, outside.udp_socket(), SHUT_RDWR)});
  script.expect({{1, -ENOTCONN}});
  script.submit({recv(3, pair.ours, into)});
  script.expect_silence();
  script.submit({shutdown(4, pair.ours, SHUT_RDWR)});
  script.expect_in_any_order({{4, 0}, {3, 0}});
  script.submit({send(5, pair.ours, "hello", MSG_NOSIGNAL)});
  script.expect({{5, -EPIPE}});
}

TEST_P(Sockets, of_datagrams_end_what_reads_them_when_they_are_shut_down) {
  const Pair pair = outside.udp_pair();
  std::string& into = outside.room(4);
  script.submit({read(2, pair.ours, into)});
  script.expect_silence();
  script.submit({shutdown(3, pair.ours, SHUT_RD)});
  script.expect_in_any_order({{3, 0}, {2, 0}});
  script.submit({read(4, pair.ours, into)});
  script.expect({{4, 0}});
}

TEST_P(Sockets, of_datagrams_send_an_empty_one) {
  const Pair pair = outside.udp_pair();
  std::string& into = outside.room(4);
  script.submit({write(2, pair.ours, "")});
  script.expect({{2, 0}});
  script.submit({recv(3, pair.theirs, into)});
  script.expect({{3, 0}});
}

TEST_P(Sockets, with_a_low_water_mark_give_what_is_there_when_they_are_asked) {
  NOT_SIMULATED("SO_RCVLOWAT");
  const Pair pair = outside.tcp_pair();
  const int many = 100;
  ASSERT_EQ(os::set_option(pair.ours, SOL_SOCKET, SO_RCVLOWAT, &many, sizeof many), 0);
  std::string& into = outside.room(256);
  for (std::uint64_t i = 1; i <= 4; ++i) {
    outside.write(pair.theirs, "ten bytes.");
    script.submit({recv(i, pair.ours, into)});
    script.expect({{i, 10}});
  }
}

// What says that it is ready, and has nothing, is waited for in peace. How much of a processor is used tells;
// on a busy machine it is less than usual, never more.
TEST_P(Sockets, with_an_error_that_nobody_fetches_are_waited_for_in_peace) {
  NOT_SIMULATED("the queue of errors");
  const int socket = outside.udp_socket();
  const int on = 1;
  ASSERT_EQ(os::set_option(socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  const sockaddr_in nobody = outside.closed_address();
  std::string& into = outside.room(4);
  script.submit({connect(1, socket, &nobody, sizeof nobody).linked(), send(2, socket, "hello")});
  script.expect({{1, 0}, {2, 5}});
  script.submit({recv(3, socket, into)});
  script.expect({{3, -ECONNREFUSED}});
  script.submit({recv(4, socket, into)});
  const std::clock_t before = std::clock();
  script.submit({timeout(5, 300ms)});
  script.expect({{5, -ETIME}});
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC * 3 / 20) << "half of the time";
}

// Until the last of them is closed; a listener that has said SO_REUSEADDR, as most do, can begin again.
TEST_P(Sockets, keep_the_port_of_their_listener) {
  const TcpListener listener = outside.tcp_listener();
  const int client = outside.connected_to(listener.address);
  script.submit({accept(1, listener.fd)});
  const int accepted = outside.keep(script.result_of(1));
  outside.close(listener.fd);
  const auto bind_again = [&listener](int fd) {
    const auto* const address = reinterpret_cast<const sockaddr*>(&listener.address);
    return os::bind(fd, address, sizeof listener.address) == 0 ? 0 : -errno;
  };
  const int next = outside.tcp_socket();
  EXPECT_EQ(bind_again(next), -EADDRINUSE);
  outside.reset(accepted);  // without a TIME_WAIT
  EXPECT_EQ(bind_again(next), 0);
  outside.close(client);
}

TEST_P(Sockets, that_connect_can_be_cancelled) {
  const TcpListener listener = outside.tcp_listener(0);
  outside.connected_to(listener.address);  // there is room for one, so whoever comes now has to wait
  const int client = outside.tcp_socket();
  script.submit({connect(1, client, &listener.address, sizeof listener.address)});
  script.expect_silence();
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Sockets, that_connect_too_long_are_timed_out) {
  const TcpListener listener = outside.tcp_listener(0);
  outside.connected_to(listener.address);
  const int client = outside.tcp_socket();
  script.submit(
      {connect(1, client, &listener.address, sizeof listener.address).linked(), link_timeout(2, 2ms)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}});
}

TEST_P(Sockets, are_made_bound_and_listened_on) {
  NEEDS(Opcode::bind);
  NEEDS(Opcode::listen);
  script.submit({make_socket(1, AF_INET, SOCK_STREAM | SOCK_CLOEXEC)});
  const int socket = outside.keep(script.result_of(1));
  const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  script.submit({bind(2, socket, &any, sizeof any).linked(), listen(3, socket, 4)});
  script.expect({{2, 0}, {3, 0}});
  script.submit({accept(4, socket)});
  outside.connected_to(outside.address_of(socket));
  outside.keep(script.result_of(4));
}

TEST_P(Sockets, are_not_bound_where_another_is) {
  NEEDS(Opcode::bind);
  const TcpListener listener = outside.tcp_listener();
  const int socket = outside.tcp_socket();
  script.submit({bind(1, socket, &listener.address, sizeof listener.address)});
  script.expect({{1, -EADDRINUSE}});
}

TEST_P(Sockets, of_no_known_family_are_not_made) {
  script.submit({make_socket(1, 9999, SOCK_STREAM)});
  script.expect({{1, -EAFNOSUPPORT}});
}

TEST_P(Sockets, have_options) {
  NEEDS(Feature::socket_options);
  const int socket = outside.tcp_socket();
  auto& on = outside.object(1);
  auto& got = outside.object(-1);
  script.submit({socket_option(1, uapi::socket_setsockopt, socket, SOL_SOCKET, SO_KEEPALIVE, on),
                 socket_option(2, uapi::socket_getsockopt, socket, SOL_SOCKET, SO_KEEPALIVE, got)});
  script.expect({{1, 0}, {2, sizeof(int)}});
  EXPECT_EQ(got, 1);
}

TEST_P(Sockets, count_what_there_is_to_receive) {
  NEEDS(Feature::socket_options);
  const Pair pair = outside.tcp_pair();
  outside.write(pair.theirs, "hello");
  Entry count = request(1, Opcode::uring_cmd, pair.ours);
  count.sqe.off = uapi::socket_siocinq;
  script.submit({count});
  script.expect({{1, 5}});
}

}  // namespace
}  // namespace corering::conformance
