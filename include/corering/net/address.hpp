/// address.hpp — where a socket is: IPv4, IPv6 or a name of the Unix family.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>

#include <corering/base/result.hpp>

namespace corering {

enum class AddressErrc {
  form = 1,       ///< neither IPv4:port, [IPv6]:port nor unix:path
  host,           ///< the part before the port is no number
  port,           ///< not a number from 0 to 65535
  path_too_long,  ///< more than 107 bytes
  path_has_nul,
};
[[nodiscard]] const std::error_category& address_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(AddressErrc error) noexcept {
  return {static_cast<int>(error), address_category()};
}

/// A value, as connect(2) and bind(2) take it. Copies freely; operations take it along.
class Address {
 public:
  /// No address: what accept and receive write over.
  Address() noexcept = default;
  Address(const sockaddr* address, socklen_t length) noexcept;

  /// "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/run/socket", "unix:@abstract". Numbers only; for
  /// names see lookup() (net/lookup.hpp). AddressErrc.
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  /// The same for host and port apart, the host without brackets.
  [[nodiscard]] static Result<Address> parse(std::string_view host, std::string_view port);

  /// A path, or after "@" a name of the abstract name space. AddressErrc.
  [[nodiscard]] static Result<Address> unix_path(std::string_view path);

  /// 127.0.0.1 and 0.0.0.0.
  [[nodiscard]] static Address loopback(std::uint16_t port) noexcept;
  [[nodiscard]] static Address any(std::uint16_t port) noexcept;
  /// ::1 and ::, which also takes IPv4 unless the socket says otherwise.
  [[nodiscard]] static Address loopback6(std::uint16_t port) noexcept;
  [[nodiscard]] static Address any6(std::uint16_t port) noexcept;

  /// Of a bound socket, and of the other end of a connected one. getsockname(2), getpeername(2).
  [[nodiscard]] static Result<Address> of_socket(int socket) noexcept;
  [[nodiscard]] static Result<Address> of_peer(int socket) noexcept;

  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  /// 0 for the Unix family.
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] Address with_port(std::uint16_t port) const noexcept;

  /// As parse() takes it; "unix:" for a socket without a name, "-" for no address.
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t length() const noexcept { return length_; }

  /// For system calls that write an address: give the room, then say how long it has become.
  [[nodiscard]] sockaddr* room() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  static constexpr socklen_t room_size = sizeof(sockaddr_storage);
  void set_length(socklen_t length) noexcept { length_ = length; }

  bool operator==(const Address& other) const noexcept;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

/// "host:port" or "[host]:port" in two; AddressErrc::form or ::port.
struct HostAndPort {
  std::string host;
  std::string port;
};
[[nodiscard]] Result<HostAndPort> split_host_and_port(std::string_view text);

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::AddressErrc> : std::true_type {};
