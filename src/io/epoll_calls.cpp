/// epoll_calls.cpp — waits for an epoll set, on new and on old kernels.
#include <cerrno>
#include <poll.h>

#include <corering/io/control_calls.hpp>
#include <corering/io/epoll_calls.hpp>

namespace corering {

Task<Result<std::size_t>> async_epoll_wait(int epoll, std::span<epoll_event> into) {
  if (here::capabilities().has(Opcode::epoll_wait)) {
    const IoOperation<std::size_t> wait(Request{.addr = reinterpret_cast<std::uintptr_t>(into.data()),
                                                .fd = epoll,
                                                .len = static_cast<std::uint32_t>(into.size()),
                                                .head = head(Opcode::epoll_wait)});
    co_return co_await wait;
  }
  for (;;) {
    const int found = ::epoll_wait(epoll, into.data(), static_cast<int>(into.size()), 0);
    if (found < 0) co_return failure(errno);
    if (found > 0) co_return static_cast<std::size_t>(found);
    const Result<unsigned> ready = co_await async_poll(epoll, POLLIN);
    if (!ready) co_return std::unexpected(ready.error());
  }
}

}  // namespace corering
