/// address_test.cpp — addresses as text and back.
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

}  // namespace
}  // namespace corering
