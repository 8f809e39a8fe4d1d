/// lookup.hpp — names to addresses, without blocking a worker.
#pragma once

#include <string>
#include <system_error>
#include <vector>

#include <corering/core/blocking_pool.hpp>
#include <corering/core/task.hpp>
#include <corering/net/address.hpp>

namespace corering {

/// Errors of getaddrinfo(3): EAI_NONAME and its kin, with gai_strerror's text.
[[nodiscard]] const std::error_category& lookup_category() noexcept;

/// getaddrinfo(3) on a thread of `pool`, for stream sockets, in the order in which they should be tried.
/// Empty `host` means this machine, for listening. Errors: lookup_category(), or the errno where getaddrinfo
/// says EAI_SYSTEM. While it waits for a thread it can be cancelled.
[[nodiscard]] Task<Result<std::vector<Address>>> lookup(BlockingPool& pool, std::string host,
                                                        std::string service);

}  // namespace corering
