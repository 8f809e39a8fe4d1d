/// close_in_order.hpp — closing a descriptor that is in use.
#pragma once

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/core/task.hpp>

namespace corering {

/// Closes a descriptor that is in use: cancels what this worker has in flight on it, waits until that has
/// ended, and then closes it. Coroutines that waited on it get ECANCELED, or the result that came first. None
/// of them gets bytes that belong to the next owner of the number. A zero-copy send whose bytes the peer does
/// not take is ended by force after a quarter of a second: the connection is then reset
/// (docs/CANCELLATION.md). cancelled: it works in a cancelled scope too · errors: EBADF if nothing is owned;
/// those of close(2)
[[nodiscard]] Task<Result<void>> close_in_order(Fd fd);

}  // namespace corering
