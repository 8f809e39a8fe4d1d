/// process_calls.hpp — waiting for child processes. The rows are explained in io/file_calls.hpp.
#pragma once

#include <sys/wait.h>

#include <corering/core/operation.hpp>

namespace corering {

/// waitid(2): waits until a child has changed as `options` say (WEXITED, ...), and describes it in `into`.
/// Await it on a worker. On an older kernel it waits for one process (P_PID, P_PIDFD) through its pidfd, and
/// only for its end. For everything else it fails there, with an error that names the kernel that is needed.
/// | WAITID | 6.7 | waitid(2) | `into` | ECHILD, EINVAL |
[[nodiscard]] Task<Result<void>> async_waitid(idtype_t type, id_t id, siginfo_t& into, int options);

}  // namespace corering
