/// lookup.cpp — getaddrinfo on a pool.
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <netdb.h>

#include <corering/base/outside.hpp>
#include <corering/net/lookup.hpp>
#include <corering/sync/offload.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

class LookupCategory final : public std::error_category {
 public:
  constexpr LookupCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.lookup"; }
  std::string message(int value) const override { return ::gai_strerror(value); }
};

std::error_code as_lookup_error(int error) noexcept { return {error, lookup_category()}; }

Result<std::vector<Address>> look_up_in(Outside& world, const std::string& host, const std::string& service) {
  std::vector<Address> addresses;
  const int error = world.look_up(host, service, [&addresses](const sockaddr* name, socklen_t length) {
    addresses.emplace_back(name, length);
  });
  if (error != 0) return std::unexpected(as_lookup_error(error));
  return addresses;
}

Result<std::vector<Address>> look_up_blocking(const std::string& host, const std::string& service) {
  if (host.find('\0') != std::string::npos || service.find('\0') != std::string::npos) {
    return std::unexpected(as_lookup_error(EAI_NONAME));
  }
  if (Outside* const world = os::world(); world != nullptr) return look_up_in(*world, host, service);
  const addrinfo hints{.ai_flags = host.empty() ? AI_PASSIVE : 0,
                       .ai_family = AF_UNSPEC,
                       .ai_socktype = SOCK_STREAM,
                       .ai_protocol = 0,
                       .ai_addrlen = 0,
                       .ai_addr = nullptr,
                       .ai_canonname = nullptr,
                       .ai_next = nullptr};
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), service.c_str(), &hints, &found);
  if (error == EAI_SYSTEM) return failure(errno);
  if (error != 0) return std::unexpected(as_lookup_error(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    addresses.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  return addresses;
}

/// Succeeds if getaddrinfo reads `service` as we do: it would also take " 80", "+80" and "", and a number
/// that does not fit it would cut to 16 bits.
Result<void> check_service(const std::string& service) {
  const bool is_a_name = std::ranges::any_of(service, [](unsigned char c) { return std::isalpha(c) != 0; });
  if (is_a_name) return {};
  const Result<Address> number = Address::parse("0.0.0.0", service);
  if (!number) return std::unexpected(number.error());
  return {};
}

}  // namespace

const std::error_category& lookup_category() noexcept {
  static constinit Immortal<LookupCategory> category;
  return category.object;
}

Task<Result<std::vector<Address>>> lookup(BlockingPool& pool, std::string host, std::string service) {
  if (const Result<void> checked = check_service(service); !checked)
    co_return std::unexpected(checked.error());
  const auto look_up = [&host, &service] { return look_up_blocking(host, service); };
  co_return co_await offload(pool, look_up);
}

}  // namespace corering
