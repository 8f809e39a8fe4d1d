/// epoll_calls.hpp — operations on epoll sets, for programs that have one. The rows are explained in
/// io/file_calls.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <sys/epoll.h>

#include <corering/core/operation.hpp>

namespace corering {

/// epoll_ctl(2): EPOLL_CTL_ADD, _MOD or _DEL in `action`; `event` may be null for the last.
/// | EPOLL_CTL | 5.6 | epoll_ctl(2) | `event` | EEXIST, ENOENT, EPERM, EINVAL |
inline IoOperation<void> async_epoll_ctl(int epoll, int action, int fd, const epoll_event* event) noexcept {
  return IoOperation<void>(Request{.addr = reinterpret_cast<std::uintptr_t>(event),
                                   .fd = epoll,
                                   .len = static_cast<std::uint32_t>(action),
                                   .off = static_cast<std::uint32_t>(fd),
                                   .head = head(Opcode::epoll_ctl)});
}

/// epoll_wait(2) without a time limit: waits for events, and returns how many are in `into` now. On a worker.
/// An older kernel polls the set and asks it then.
/// | EPOLL_WAIT | 6.15 | epoll_wait(2) | `into` | EINVAL: no epoll set, or no room |
[[nodiscard]] Task<Result<std::size_t>> async_epoll_wait(int epoll, std::span<epoll_event> into);

}  // namespace corering
