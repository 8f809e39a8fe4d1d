/// address.cpp — addresses from text, and to text.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <corering/base/outside.hpp>
#include <corering/net/address.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

class AddressCategory final : public std::error_category {
 public:
  constexpr AddressCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.address"; }
  std::string message(int value) const override {
    switch (static_cast<AddressErrc>(value)) {
      case AddressErrc::form:
        return "write an address as 127.0.0.1:80, [::1]:80 or unix:/path";
      case AddressErrc::host:
        return "the host is not an IPv4 or IPv6 number (use lookup() for names)";
      case AddressErrc::port:
        return "the port is not a number from 0 to 65535";
      case AddressErrc::path_too_long:
        return "the path of a Unix socket is longer than 107 bytes";
      case AddressErrc::path_has_nul:
        return "the path of a Unix socket has a NUL byte or is empty";
    }
    return "unknown";
  }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::invalid_argument;
  }
};

std::unexpected<std::error_code> wrong(AddressErrc what) noexcept {
  return std::unexpected(make_error_code(what));
}

Result<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return wrong(AddressErrc::port);
  return port;
}

sockaddr_in ipv4(in_addr_t host, std::uint16_t port) noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = host;
  return address;
}

sockaddr_in6 ipv6(const in6_addr& host, std::uint16_t port, std::uint32_t scope) noexcept {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = host;
  address.sin6_scope_id = scope;
  return address;
}

template <class Specific>
Address from(const Specific& address) noexcept {
  return Address(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

/// Parses "%eth0" or "%2". Returns 0 when there is no scope.
Result<std::uint32_t> parse_scope(std::string_view text) {
  if (text.empty()) return 0U;
  const std::string name(text.substr(1));
  if (const unsigned index = ::if_nametoindex(name.c_str()); index != 0) return index;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (name.empty() || error != std::errc() || end != name.data() + name.size())
    return wrong(AddressErrc::host);
  return number;
}

Result<Address> parse_ipv6(std::string_view host, std::uint16_t port) {
  const std::size_t percent = std::min(host.find('%'), host.size());
  const std::string number(host.substr(0, percent));
  const Result<std::uint32_t> scope = parse_scope(host.substr(percent));
  in6_addr address{};
  if (!scope || ::inet_pton(AF_INET6, number.c_str(), &address) != 1) return wrong(AddressErrc::host);
  return from(ipv6(address, port, *scope));
}

template <auto Call>
Result<Address> ask(int socket) noexcept {
  Address address;
  socklen_t length = Address::room_size;
  if (Call(socket, address.room(), &length) != 0) return failure(errno);
  address.set_length(length);
  return address;
}

constexpr std::string_view unix_prefix = "unix:";

/// Returns the path without what follows it, or the abstract name with its NUL byte in front.
std::string_view unix_name(const Address& address) noexcept {
  const auto* const named = reinterpret_cast<const sockaddr_un*>(address.get());
  const std::size_t before = offsetof(sockaddr_un, sun_path);
  const std::string_view name(named->sun_path,
                              address.length() - std::min<std::size_t>(address.length(), before));
  const bool is_abstract = name.starts_with('\0');
  return is_abstract ? name : name.substr(0, name.find('\0'));
}

}  // namespace

const std::error_category& address_category() noexcept {
  static constinit Immortal<AddressCategory> category;
  return category.object;
}

Address::Address(const sockaddr* address, socklen_t length) noexcept
    : length_(std::min<socklen_t>(length, room_size)) {
  std::memcpy(&storage_, address, length_);
}

Result<Address> Address::parse(std::string_view host, std::string_view port) {
  const Result<std::uint16_t> number = parse_port(port);
  if (!number) return std::unexpected(number.error());
  if (host.find('\0') != std::string_view::npos) return wrong(AddressErrc::host);
  if (host.find(':') != std::string_view::npos) return parse_ipv6(host, *number);
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(host).c_str(), &address) != 1) return wrong(AddressErrc::host);
  return from(ipv4(address.s_addr, *number));
}

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with(unix_prefix)) return unix_path(text.substr(unix_prefix.size()));
  const Result<HostAndPort> parts = split_host_and_port(text);
  if (!parts) return std::unexpected(parts.error());
  return parse(parts->host, parts->port);
}

Result<Address> Address::unix_path(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool is_abstract = path.starts_with('@');
  if (path.empty() || path.find('\0') != std::string_view::npos) return wrong(AddressErrc::path_has_nul);
  if (path.size() >= sizeof address.sun_path) return wrong(AddressErrc::path_too_long);
  std::ranges::copy(path, address.sun_path);
  if (is_abstract) address.sun_path[0] = '\0';
  // The length of an abstract name has no NUL in it; that of a path includes its NUL.
  const std::size_t length = offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1);
  return Address(reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
}

Address Address::loopback(std::uint16_t port) noexcept { return from(ipv4(htonl(INADDR_LOOPBACK), port)); }
Address Address::any(std::uint16_t port) noexcept { return from(ipv4(htonl(INADDR_ANY), port)); }
Address Address::loopback6(std::uint16_t port) noexcept { return from(ipv6(in6addr_loopback, port, 0)); }
Address Address::any6(std::uint16_t port) noexcept { return from(ipv6(in6addr_any, port, 0)); }

Result<Address> Address::of_socket(int socket) noexcept { return ask<os::local_name>(socket); }
Result<Address> Address::of_peer(int socket) noexcept { return ask<os::peer_name>(socket); }

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

Address Address::with_port(std::uint16_t port) const noexcept {
  Address changed = *this;
  if (family() == AF_INET) reinterpret_cast<sockaddr_in*>(&changed.storage_)->sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6*>(&changed.storage_)->sin6_port = htons(port);
  return changed;
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto* const address = reinterpret_cast<const sockaddr_in*>(&storage_);
    ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    return std::string(text.data()).append(":").append(std::to_string(port()));
  }
  if (family() == AF_INET6) {
    const auto* const address = reinterpret_cast<const sockaddr_in6*>(&storage_);
    ::inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
    std::string written = std::string("[").append(text.data());
    if (address->sin6_scope_id != 0) written.append("%").append(std::to_string(address->sin6_scope_id));
    return written.append("]:").append(std::to_string(port()));
  }
  if (family() == AF_UNIX) {
    std::string name(unix_name(*this));
    if (!name.empty() && name.front() == '\0') name.front() = '@';
    return std::string(unix_prefix).append(name);
  }
  return "-";
}

// Only what names the address counts, and not the bytes around it: a caller may leave anything there.
bool Address::operator==(const Address& other) const noexcept {
  if (family() != other.family()) return false;
  if (family() == AF_UNIX) return unix_name(*this) == unix_name(other);
  if (family() == AF_INET) {
    const auto* const one = reinterpret_cast<const sockaddr_in*>(&storage_);
    const auto* const two = reinterpret_cast<const sockaddr_in*>(&other.storage_);
    return one->sin_port == two->sin_port && one->sin_addr.s_addr == two->sin_addr.s_addr;
  }
  if (family() == AF_INET6) {
    const auto* const one = reinterpret_cast<const sockaddr_in6*>(&storage_);
    const auto* const two = reinterpret_cast<const sockaddr_in6*>(&other.storage_);
    return one->sin6_port == two->sin6_port && one->sin6_scope_id == two->sin6_scope_id &&
           std::memcmp(&one->sin6_addr, &two->sin6_addr, sizeof one->sin6_addr) == 0;
  }
  return length_ == other.length_ && std::memcmp(&storage_, &other.storage_, length_) == 0;
}

Result<HostAndPort> split_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(AddressErrc::form);
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (port.empty()) return wrong(AddressErrc::port);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (in_brackets) host = host.substr(1, host.size() - 2);
  // With two colons and no brackets, it is not clear where the port begins.
  const bool ambiguous = !in_brackets && host.find(':') != std::string_view::npos;
  if (host.empty() || ambiguous || host.find_first_of("[]") != std::string_view::npos)
    return wrong(AddressErrc::form);
  return HostAndPort{.host = std::string(host), .port = std::string(port)};
}

}  // namespace corering
