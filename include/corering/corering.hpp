/// corering.hpp — everything at once.
#pragma once

#include <corering/core/operation.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/core/sync_wait.hpp>
#include <corering/core/task.hpp>
#include <corering/core/worker.hpp>
#include <corering/core/worker_pool.hpp>
#include <corering/io/control.hpp>
#include <corering/io/file.hpp>
#include <corering/io/socket.hpp>
#include <corering/sync/sleep.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>
