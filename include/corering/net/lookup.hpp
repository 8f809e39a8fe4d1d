/// lookup.hpp — from names to addresses, without blocking a worker.
#pragma once

#include <string>
#include <system_error>
#include <vector>

#include <corering/core/blocking_pool.hpp>
#include <corering/core/task.hpp>
#include <corering/net/address.hpp>

namespace corering {

/// Errors of getaddrinfo(3): EAI_NONAME and similar ones, with the text of gai_strerror.
[[nodiscard]] const std::error_category& lookup_category() noexcept;

/// Calls getaddrinfo(3) on a thread of `pool`, for stream sockets. Returns the addresses in the order in
/// which they should be tried. An empty `host` means this machine, for listening. `service` is a number from
/// 0 to 65535 or a name, such as "http".
/// cancelled: only while it waits for a thread
/// errors: AddressErrc::port for a service that is neither; lookup_category(); the errno where getaddrinfo
///   says EAI_SYSTEM
[[nodiscard]] Task<Result<std::vector<Address>>> lookup(BlockingPool& pool, std::string host,
                                                        std::string service);

}  // namespace corering
