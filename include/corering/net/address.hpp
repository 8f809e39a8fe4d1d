/// address.hpp — the address of a socket: IPv4, IPv6 or a name of the Unix family.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>

#include <corering/base/result.hpp>

namespace corering {

enum class AddressErrc {
  form = 1,       ///< not written as IPv4:port, [IPv6]:port or unix:path
  host,           ///< the part before the port is not a number
  port,           ///< not a number from 0 to 65535
  path_too_long,  ///< more than 107 bytes
  path_has_nul,
};
[[nodiscard]] const std::error_category& address_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(AddressErrc error) noexcept {
  return {static_cast<int>(error), address_category()};
}

/// A socket address, as connect(2) and bind(2) take it. It is a value: you may copy it freely, and operations
/// keep a copy of it.
class Address {
 public:
  /// Makes an empty address, which accept and receive write over.
  Address() noexcept = default;
  Address(const sockaddr* address, socklen_t length) noexcept;

  /// Parses "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/run/socket" or "unix:@abstract". It takes
  /// numbers only; for names see lookup() (net/lookup.hpp).
  /// errors: AddressErrc
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  /// The same, with host and port given apart. The host has no brackets.
  [[nodiscard]] static Result<Address> parse(std::string_view host, std::string_view port);

  /// Makes an address from a path or, after "@", from a name of the abstract name space.
  /// errors: AddressErrc
  [[nodiscard]] static Result<Address> unix_path(std::string_view path);

  /// Return 127.0.0.1 and 0.0.0.0.
  [[nodiscard]] static Address loopback(std::uint16_t port) noexcept;
  [[nodiscard]] static Address any(std::uint16_t port) noexcept;
  /// Return ::1 and ::. The second also takes IPv4 unless the socket says otherwise.
  [[nodiscard]] static Address loopback6(std::uint16_t port) noexcept;
  [[nodiscard]] static Address any6(std::uint16_t port) noexcept;

  /// Return the address of a bound socket, and of the other end of a connected one.
  /// follows: getsockname(2), getpeername(2)
  [[nodiscard]] static Result<Address> of_socket(int socket) noexcept;
  [[nodiscard]] static Result<Address> of_peer(int socket) noexcept;

  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  /// Returns 0 for the Unix family.
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] Address with_port(std::uint16_t port) const noexcept;

  /// Returns the text that parse() takes. It is "unix:" for a socket without a name, and "-" for an empty
  /// address.
  [[nodiscard]] std::string to_string() const;

  /// Returns a line for people that says what went wrong with this address, because an error alone does not
  /// name it: "127.0.0.1:80: Connection refused".
  [[nodiscard]] std::string explain(const std::error_code& error) const {
    return to_string() + ": " + error.message();
  }

  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t length() const noexcept { return length_; }

  /// For system calls that write an address: give them the room, then set the length that the address has.
  [[nodiscard]] sockaddr* room() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  static constexpr socklen_t room_size = sizeof(sockaddr_storage);
  void set_length(socklen_t length) noexcept { length_ = std::min(length, room_size); }

  /// Compares what the addresses name: family, host, scope and port, or the path or name of the Unix family.
  bool operator==(const Address& other) const noexcept;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

/// The two parts of "host:port" or "[host]:port".
struct HostAndPort {
  std::string host;
  std::string port;
};
/// Splits a text into host and port.
/// errors: AddressErrc::form, AddressErrc::port
[[nodiscard]] Result<HostAndPort> split_host_and_port(std::string_view text);

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::AddressErrc> : std::true_type {};
