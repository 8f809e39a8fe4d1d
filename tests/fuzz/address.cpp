/// address.cpp — any text is an address: it is refused, or its own text is the same address again.
#include <corering/net/address.hpp>

#include "fuzz/bytes.hpp"

using namespace corering;
using fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<HostAndPort> parts = split_host_and_port(text); parts) {
    must(!parts->host.empty() && !parts->port.empty());
    (void)Address::parse(parts->host, parts->port);
  }
  if (const Result<Address> address = Address::parse(text); address) {
    must(address->length() > 0 && address->length() <= Address::room_size);
    const Result<Address> again = Address::parse(address->to_string());
    must(again && *again == *address);
    must(!again || again->to_string() == address->to_string());
    must(address->with_port(7).family() == address->family());
  }
  // What the kernel or a peer gives: any bytes, and any length.
  const Address raw(reinterpret_cast<const sockaddr*>(data),
                    static_cast<socklen_t>(std::min<std::size_t>(size, 200)));
  must(raw == raw);
  (void)raw.to_string();
  return 0;
}
