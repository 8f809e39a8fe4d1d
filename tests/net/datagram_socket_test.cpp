/// datagram_socket_test.cpp — datagrams.
#include <cstring>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

Task<void> datagrams() {
  Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> two = UdpSocket::bind(Address::loopback(0));
  EXPECT_TRUE(one && two);
  if (!one || !two) co_return;
  const Address first = one->local_address().value();
  const Address second = two->local_address().value();
  std::array<std::byte, 8> buffer{};
  for (const char* const text : {"hello", "", "12345678", "too long for it"}) {
    const Result<std::size_t> sent = co_await one->send_to(bytes_of(text), second);
    EXPECT_EQ(sent, std::strlen(text));
    const Result<ReceivedDatagram> got = co_await two->receive_from(buffer);
    EXPECT_TRUE(got);
    if (!got) co_return;
    EXPECT_EQ(got->from, first);
    EXPECT_EQ(text_of(std::span(buffer).first(got->bytes)), std::string(text).substr(0, 8));
    EXPECT_EQ(got->truncated, std::strlen(text) > 8);
  }
  EXPECT_TRUE(one->connect(second));
  const Result<std::size_t> plain = co_await one->send(bytes_of("plain"));
  EXPECT_EQ(plain, 5U);
  const Result<std::size_t> got = co_await two->receive(buffer);
  EXPECT_EQ(got, 5U);
  const std::vector<std::byte> huge(70'000);
  const Result<std::size_t> too_long = co_await one->send(huge);
  EXPECT_EQ(too_long.error(), std::errc::message_size);

  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 512});
  EXPECT_TRUE(pool);
  RecvmsgStream stream = two->stream(*pool);
  for (int i = 0; i < 10; ++i) {
    (void)co_await one->send(bytes_of(std::to_string(i)));
    const Result<Datagram> datagram = co_await stream.next();
    EXPECT_TRUE(datagram && text_of(datagram->bytes()) == std::to_string(i));
    if (datagram) {
      EXPECT_EQ(Address(datagram->from(), datagram->from_length()), first);
    }
  }
}

TEST(Udp, carries_datagrams_and_says_whose_they_are) { run_on_a_worker_here(datagrams()); }

}  // namespace
}  // namespace corering
