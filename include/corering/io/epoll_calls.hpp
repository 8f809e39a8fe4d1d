/// epoll_calls.hpp — operations on epoll sets, for programs that have one. The rows are explained in
/// io/file_calls.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <sys/epoll.h>

#include <corering/core/operation.hpp>

namespace corering {

/// epoll_ctl(2): `action` is EPOLL_CTL_ADD, EPOLL_CTL_MOD or EPOLL_CTL_DEL. `event` may be null for the last.
/// | EPOLL_CTL | 5.6 | epoll_ctl(2) | `event` | EEXIST, ENOENT, EPERM, EINVAL |
inline IoOperation<void> async_epoll_ctl(int epoll, int action, int fd, const epoll_event* event) noexcept {
  return IoOperation<void>(Request{.addr = reinterpret_cast<std::uintptr_t>(event),
                                   .fd = epoll,
                                   .len = static_cast<std::uint32_t>(action),
                                   .off = static_cast<std::uint32_t>(fd),
                                   .head = head(Opcode::epoll_ctl)});
}

/// epoll_wait(2) without a time limit: waits for events, and returns how many are in `into` now. Await it on
/// a worker. On an older kernel it polls the set and then asks it.
/// | EPOLL_WAIT | 6.15 | epoll_wait(2) | `into` | EINVAL: not an epoll set, or no room |
[[nodiscard]] Task<Result<std::size_t>> async_epoll_wait(int epoll, std::span<epoll_event> into);

}  // namespace corering
