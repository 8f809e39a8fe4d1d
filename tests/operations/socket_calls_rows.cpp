/// socket_calls_rows.cpp — the operations of socket_calls.hpp: that each works, and how it fails.
#include <poll.h>

#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows socket_calls_rows({
    {"SOCKET", [](Stage&) { return error_of(async_socket(AF_INET, SOCK_STREAM)); },
     [](Stage&) { return error_of(async_socket(12345, SOCK_STREAM)); },
     std::errc::address_family_not_supported},
    {"SOCKET (direct)", [](Stage& s) { return error_of(async_socket(*s.table, AF_INET, SOCK_STREAM)); },
     [](Stage& s) { return error_of(async_socket(*s.table, AF_INET, 999)); }, std::errc::invalid_argument},
    {"BIND",
     [](Stage&) -> Outcome {
       const Fd socket(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
       co_return co_await error_of(async_bind(socket, reinterpret_cast<const sockaddr*>(&any), sizeof any));
     },
     [](Stage& s) -> Outcome {
       const Fd socket(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       co_return co_await error_of(async_bind(socket, s.listener.get(), sizeof s.listener.address));
     },
     std::errc::address_in_use},
    {"LISTEN",
     [](Stage&) -> Outcome {
       const Fd socket(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       co_return co_await error_of(async_listen(socket, 8));
     },
     [](Stage& s) { return error_of(async_listen(s.file, 8)); }, std::errc::not_a_socket},
    {"ACCEPT",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       sockaddr_in peer{};
       socklen_t length = sizeof peer;
       const Result<Fd> got =
           co_await async_accept(s.listener.fd, reinterpret_cast<sockaddr*>(&peer), &length);
       if (!got) co_return got.error();
       EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
       EXPECT_EQ(sys::fcntl(got->get(), F_GETFD), FD_CLOEXEC);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_accept(s.ours())); }, std::errc::invalid_argument},
    {"ACCEPT (direct)",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       const Result<FixedFile> got = co_await async_accept(*s.table, s.listener.fd);
       if (!got) co_return got.error();
       EXPECT_EQ(sys::send(client.get(), "hi", 2, 0), 2);
       const Result<std::size_t> heard = co_await async_recv(*got, s.buffer);
       if (!heard) co_return heard.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*heard)), "hi");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_accept(*s.table, s.ours())); }, std::errc::invalid_argument},
    {"ACCEPT (DONTWAIT)",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       co_return co_await error_of(async_accept_now(s.listener.fd));
     },
     [](Stage& s) { return error_of(async_accept_now(s.listener.fd)); },
     std::errc::resource_unavailable_try_again, Feature::accept_dontwait},
    {"CONNECT",
     [](Stage& s) -> Outcome {
       const Fd client(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       co_return co_await error_of(async_connect(client, s.listener.get(), sizeof s.listener.address));
     },
     [](Stage& s) -> Outcome {
       const Fd client(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       s.listener.fd.reset();
       co_return co_await error_of(async_connect(client, s.listener.get(), sizeof s.listener.address));
     },
     std::errc::connection_refused},
    {"SHUTDOWN",
     [](Stage& s) -> Outcome {
       const Result<void> shut = co_await async_shutdown(s.ours(), SHUT_WR);
       EXPECT_EQ(sys::recv(s.theirs(), s.buffer.data(), 1, 0), 0);
       co_return shut ? fine : shut.error();
     },
     [](Stage& s) { return error_of(async_shutdown(s.file, SHUT_WR)); }, std::errc::not_a_socket},
    {"RECV",
     [](Stage& s) -> Outcome {
       s.sends("hello");
       const Result<std::size_t> got = co_await async_recv(s.ours(), s.buffer);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "hello");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_recv(s.file, s.buffer)); }, std::errc::not_a_socket},
    {"RECV (BUFFER_SELECT)",
     [](Stage& s) -> Outcome {
       s.sends("hello");
       const Result<LentBuffer> got = co_await async_recv(s.ours(), *s.pool);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(got->bytes()), "hello");
       co_return fine;
     },
     [](Stage& s) -> Outcome {  // all buffers are lent
       std::vector<LentBuffer> lent;
       for (int i = 0; i < 4; ++i) {
         s.sends("x");
         Result<LentBuffer> got = co_await async_recv(s.ours(), *s.pool);
         if (!got) co_return got.error();
         lent.push_back(std::move(*got));
       }
       s.sends("x");
       co_return co_await error_of(async_recv(s.ours(), *s.pool));
     },
     std::errc::no_buffer_space},
    {"RECV (BUNDLE)",
     [](Stage& s) -> Outcome {  // over TCP, because Linux 6.12 fills one buffer of a Unix socket
       const test::TcpPair tcp;
       const std::string text = std::string(256, 'a') + std::string(100, 'b');
       EXPECT_EQ(sys::send(tcp.theirs.get(), text.data(), text.size(), 0), 356);
       const auto got = co_await async_recv_bundle(tcp.ours, *s.pool);
       if (!got) co_return got.error();
       const bool bundled = here::capabilities().has(Feature::bundles);
       EXPECT_EQ(got->size(), bundled ? 2U : 1U);
       EXPECT_EQ(text_of(got->front().bytes()), std::string(256, 'a'));
       if (bundled) {
         EXPECT_EQ(text_of(got->back().bytes()), std::string(100, 'b'));
       }
       co_return fine;
     },
     [](Stage& s) { return error_of(async_recv_bundle(s.file, *s.pool)); }, std::errc::not_a_socket},
    {"RECVMSG",
     [](Stage& s) -> Outcome {
       s.sends("message");
       iovec part{s.buffer.data(), s.buffer.size()};
       msghdr message{};
       message.msg_iov = &part;
       message.msg_iovlen = 1;
       const Result<std::size_t> got = co_await async_recvmsg(s.ours(), message);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "message");
       s.sends("from");
       sockaddr_storage from{};
       socklen_t length = sizeof from;
       const Result<std::size_t> more =
           co_await async_recvfrom(s.ours(), s.buffer, reinterpret_cast<sockaddr*>(&from), &length);
       if (!more) co_return more.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*more)), "from");
       EXPECT_EQ(length, 0U) << "this peer has no name";
       co_return fine;
     },
     [](Stage& s) { return error_of(async_recvfrom(s.file, s.buffer, nullptr, nullptr)); },
     std::errc::not_a_socket},
    {"SEND",
     [](Stage& s) -> Outcome {
       const Result<std::size_t> put = co_await async_send(s.ours(), bytes_of("sent"));
       if (!put) co_return put.error();
       EXPECT_EQ(s.received(), "sent");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       s.pair.theirs.reset();
       co_return co_await error_of(async_send(s.ours(), bytes_of("x")));
     },
     std::errc::broken_pipe},
    {"SEND (VECTORIZED)",
     [](Stage& s) -> Outcome {
       const std::array<iovec, 2> parts = {iovec{const_cast<char*>("ab"), 2},
                                           iovec{const_cast<char*>("c"), 1}};
       const Result<std::size_t> put = co_await async_sendv(s.ours(), parts);
       if (!put) co_return put.error();
       EXPECT_EQ(s.received(), "abc");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       s.pair.theirs.reset();
       const std::array<iovec, 1> parts = {iovec{const_cast<char*>("ab"), 2}};
       co_return co_await error_of(async_sendv(s.ours(), parts));
     },
     std::errc::broken_pipe},
    {"SENDMSG",
     [](Stage& s) -> Outcome {
       iovec part{const_cast<char*>("ab"), 2};
       msghdr message{};
       message.msg_iov = &part;
       message.msg_iovlen = 1;
       const Result<std::size_t> put = co_await async_sendmsg(s.ours(), message);
       if (!put) co_return put.error();
       const Result<std::size_t> more = co_await async_sendto(s.ours(), bytes_of("to"), nullptr, 0);
       if (!more) co_return more.error();
       EXPECT_EQ(s.received(), "abto");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       s.pair.theirs.reset();
       co_return co_await error_of(async_sendto(s.ours(), bytes_of("x"), nullptr, 0));
     },
     std::errc::broken_pipe},
    {"SEND_ZC",
     [](Stage& s) -> Outcome {  // over TCP, because Unix sockets do not have zero copy
       const Fd client = s.connects();
       Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       s.pair.theirs = std::move(*served);
       co_return co_await zero_copy(s, async_send_zc(client, bytes_of("zero")));
     },
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       sys::shutdown(client.get(), SHUT_WR);
       co_return co_await error_of(async_send_zc(client, bytes_of("zero")));
     },
     std::errc::broken_pipe},
    {"SEND_ZC (FIXED_BUF)",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       s.pair.theirs = std::move(*served);
       const FixedBuffer fixed = s.registered->lend();
       std::ranges::copy(bytes_of("zero"), fixed.bytes().begin());
       co_return co_await zero_copy(s, async_send_zc(client, fixed.first(4)));
     },
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       sys::shutdown(client.get(), SHUT_WR);
       const FixedBuffer fixed = s.registered->lend();
       co_return co_await error_of(async_send_zc(client, fixed.first(4)));
     },
     std::errc::broken_pipe},
    {"SEND_ZC (to an address)",
     [](Stage& s) -> Outcome {
       Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
       Result<UdpSocket> two = UdpSocket::bind(Address::loopback(0));
       const Address to = two->local_address().value();
       const Result<ZeroCopySend> sent =
           co_await async_sendto_zc(one->fd(), bytes_of("zero"), to.get(), to.length());
       if (!sent) co_return sent.error();
       EXPECT_EQ(sent->bytes, 4U);
       const Result<ReceivedDatagram> got = co_await two->receive_from(s.buffer);
       if (!got) co_return got.error();
       EXPECT_EQ(got->from, one->local_address());
       EXPECT_EQ(text_of(std::span(s.buffer).first(got->bytes)), "zero");
       co_return fine;
     },
     [](Stage&) -> Outcome {
       Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
       const std::vector<std::byte> huge(70'000);
       const Address to = Address::loopback(9);
       co_return co_await error_of(async_sendto_zc(one->fd(), huge, to.get(), to.length()));
     },
     std::errc::message_size},
    {"SENDMSG_ZC",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       s.pair.theirs = std::move(*served);
       iovec part{const_cast<char*>("zero"), 4};
       msghdr message{};
       message.msg_iov = &part;
       message.msg_iovlen = 1;
       co_return co_await zero_copy(s, async_sendmsg_zc(client, message));
     },
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       sys::shutdown(client.get(), SHUT_WR);
       iovec part{const_cast<char*>("zero"), 4};
       msghdr message{};
       message.msg_iov = &part;
       message.msg_iovlen = 1;
       co_return co_await error_of(async_sendmsg_zc(client, message));
     },
     std::errc::broken_pipe},
    {"SEND or SEND_ZC",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       const Result<ZeroCopySend> small = co_await async_send_auto(client, bytes_of("small"));
       if (!small) co_return small.error();
       EXPECT_EQ(small->copied, ZeroCopySend::Copied::yes);
       const std::vector<std::byte> much(64 * 1024);
       const Result<ZeroCopySend> large = co_await async_send_auto(client, much);
       if (!large) co_return large.error();
       EXPECT_GT(large->bytes, 0U);
       if (here::capabilities().has(Opcode::send_zc)) {
         EXPECT_EQ(large->copied == ZeroCopySend::Copied::unknown,
                   !here::capabilities().has(Feature::send_zc_report_usage));
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       s.pair.theirs.reset();
       co_return co_await error_of(async_send_auto(s.ours(), bytes_of("x")));
     },
     std::errc::broken_pipe},
    {"URING_CMD (GETSOCKOPT)",
     [](Stage& s) -> Outcome {
       int type = 0;
       const Result<std::size_t> length = co_await async_getsockopt(
           s.ours(), SOL_SOCKET, SO_TYPE, std::as_writable_bytes(std::span(&type, 1)));
       if (!length) co_return length.error();
       EXPECT_EQ(*length, sizeof type);
       EXPECT_EQ(type, SOCK_STREAM);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_getsockopt(s.ours(), SOL_SOCKET, 9999, s.buffer)); },
     std::errc::no_protocol_option},
    {"URING_CMD (SETSOCKOPT)",
     [](Stage& s) -> Outcome {
       const int on = 1;
       const Result<void> set =
           co_await async_setsockopt(s.ours(), SOL_SOCKET, SO_KEEPALIVE, std::as_bytes(std::span(&on, 1)));
       int is = 0;
       socklen_t length = sizeof is;
       EXPECT_EQ(sys::getsockopt(s.ours(), SOL_SOCKET, SO_KEEPALIVE, &is, &length), 0);
       EXPECT_EQ(is, 1);
       co_return set ? fine : set.error();
     },
     [](Stage& s) { return error_of(async_setsockopt(s.ours(), SOL_SOCKET, 9999, s.buffer)); },
     std::errc::no_protocol_option},
    {"URING_CMD (SIOCINQ)",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       const Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       EXPECT_EQ(sys::send(client.get(), "12345", 5, 0), 5);
       const Result<unsigned> arrived = co_await async_poll(*served, POLLIN);
       if (!arrived) co_return arrived.error();
       const Result<std::size_t> waiting = co_await async_bytes_to_receive(*served);
       if (!waiting) co_return waiting.error();
       EXPECT_EQ(*waiting, 5U);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_bytes_to_receive(s.reader)); }, std::errc::operation_not_supported,
     Feature::socket_options},
    {"URING_CMD (SIOCOUTQ)",
     [](Stage& s) -> Outcome {
       const Fd client = s.connects();
       co_return co_await error_of(async_bytes_to_send(client));
     },
     [](Stage& s) { return error_of(async_bytes_to_send(s.reader)); }, std::errc::operation_not_supported,
     Feature::socket_options},
});

}  // namespace
}  // namespace corering::test
