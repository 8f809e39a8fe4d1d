/// close_in_order.cpp — cancels, waits, closes.
#include <cerrno>

#include <corering/engine/descriptor_use.hpp>
#include <corering/io/control_calls.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/streams/close_in_order.hpp>
#include <corering/sync/shield.hpp>
#include <corering/sync/sleep.hpp>

namespace corering {
namespace {

// Work that a helper thread of the kernel does cannot be cancelled. We can only wait for it. A zero-copy send
// whose bytes are in the socket ends when the peer has taken them, or when the loop gives up the connection.
constexpr int quick_tries = 8;
constexpr Duration between_tries = std::chrono::milliseconds(1);

Task<Result<void>> cancel_and_close(Fd fd) {
  for (int tries = 0;; ++tries) {
    const std::size_t unfinished = here::end_uses_of(fd.get());
    const Result<unsigned> found = co_await async_cancel(fd);
    if (unfinished == 0 && (!found || *found == 0)) break;
    if (tries >= quick_tries) {
      const Result<void> slept = co_await sleep_for(between_tries);
      if (!slept) break;  // a stop has run out of patience
    }
  }
  co_return co_await async_close(std::move(fd));
}

}  // namespace

Task<Result<void>> close_in_order(Fd fd) {
  if (!fd.is_open()) co_return failure(EBADF);
  co_return co_await shield(cancel_and_close(std::move(fd)));
}

}  // namespace corering
