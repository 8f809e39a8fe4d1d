/// address_test.cpp — addresses as text and back.
#include <algorithm>
#include <cstring>
#include <sys/un.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

TEST(Address, is_read_and_printed_alike) {
  for (const char* const text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:443",
                                 "[2001:db8::1]:1", "unix:/run/socket", "unix:@abstract"}) {
    const Result<Address> address = Address::parse(text);
    ASSERT_TRUE(address) << text << ": " << address.error().message();
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(Address::loopback(80).to_string(), "127.0.0.1:80");
  EXPECT_EQ(Address::any6(81).to_string(), "[::]:81");
  EXPECT_EQ(Address().to_string(), "-");
  EXPECT_EQ(Address::loopback(1).with_port(2).port(), 2);
  EXPECT_EQ(*Address::parse("127.0.0.1:80"), Address::loopback(80));
  EXPECT_NE(Address::loopback(80), Address::loopback(81));
  EXPECT_EQ(Address::parse("[fe80::1%lo]:80")->to_string(), "[fe80::1%1]:80");
}

TEST(Address, says_what_is_wrong) {
  struct Bad {
    std::string text;
    AddressErrc why;
  };
  const std::vector<Bad> all = {
      {"", AddressErrc::form},
      {"127.0.0.1", AddressErrc::form},
      {":80", AddressErrc::form},
      {"::1:80", AddressErrc::form},
      {"[::1:80", AddressErrc::form},
      {"[]:80", AddressErrc::form},
      {"127.0.0.1:", AddressErrc::port},
      {"127.0.0.1:x", AddressErrc::port},
      {"127.0.0.1:-1", AddressErrc::port},
      {"127.0.0.1:65536", AddressErrc::port},
      {"127.0.0.1: 80", AddressErrc::port},
      {"127.0.0.1:80 ", AddressErrc::port},
      {"256.0.0.1:80", AddressErrc::host},
      {"localhost:80", AddressErrc::host},
      {"1.2.3:80", AddressErrc::host},
      {"[1::2::3]:80", AddressErrc::host},
      {"[::1%nodev]:80", AddressErrc::host},
      {std::string("127.0.0.1\0:80", 13), AddressErrc::host},
      {"unix:", AddressErrc::path_has_nul},
      {std::string("unix:/a\0b", 9), AddressErrc::path_has_nul},
      {"unix:/" + std::string(200, 'x'), AddressErrc::path_too_long},
  };
  for (const Bad& bad : all) {
    const Result<Address> address = Address::parse(bad.text);
    ASSERT_FALSE(address) << bad.text;
    EXPECT_EQ(address.error(), make_error_code(bad.why)) << bad.text << ": " << address.error().message();
    EXPECT_EQ(address.error(), std::errc::invalid_argument);
  }
}

TEST(Address, of_host_and_port_is_split) {
  const Result<HostAndPort> name = split_host_and_port("example.org:http");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host, "example.org");
  EXPECT_EQ(name->port, "http");
  EXPECT_EQ(split_host_and_port("[::1]:80")->host, "::1");
  EXPECT_FALSE(split_host_and_port("::1:80"));
}

TEST(Address, says_an_error_together_with_itself) {
  const std::error_code refused(ECONNREFUSED, std::system_category());
  EXPECT_EQ(Address::loopback(80).explain(refused), "127.0.0.1:80: Connection refused");
}

TEST(Address, is_the_same_whatever_lies_around_its_name) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::ranges::fill(local.sun_path, 'x');
  std::strcpy(local.sun_path, "/tmp/q");
  const Address whole(reinterpret_cast<const sockaddr*>(&local), sizeof local);
  EXPECT_EQ(whole, Address::unix_path("/tmp/q"));
  EXPECT_NE(whole, Address::unix_path("/tmp/qx"));
  EXPECT_EQ(whole.to_string(), "unix:/tmp/q");
  sockaddr_in four{.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  std::ranges::fill(four.sin_zero, 0xff);
  EXPECT_EQ(Address(reinterpret_cast<const sockaddr*>(&four), sizeof four), Address::loopback(80));
  sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_flowinfo = 7};
  six.sin6_addr = in6addr_loopback;
  EXPECT_EQ(Address(reinterpret_cast<const sockaddr*>(&six), sizeof six), Address::loopback6(80));
  six.sin6_scope_id = 1;
  EXPECT_NE(Address(reinterpret_cast<const sockaddr*>(&six), sizeof six), Address::loopback6(80));
}

TEST(Address, of_an_abstract_name_is_all_of_its_bytes) {
  const auto named = [](std::string_view bytes) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::ranges::copy(bytes, local.sun_path + 1);
    const std::size_t length = offsetof(sockaddr_un, sun_path) + 1 + bytes.size();
    return Address(reinterpret_cast<const sockaddr*>(&local), static_cast<socklen_t>(length));
  };
  EXPECT_EQ(named("a"), Address::unix_path("@a"));
  EXPECT_NE(named(std::string_view("a\0", 2)), named("a"));
  EXPECT_NE(named(std::string_view("a\0b", 3)), named(std::string_view("a\0c", 3)));
}

}  // namespace
}  // namespace corering
