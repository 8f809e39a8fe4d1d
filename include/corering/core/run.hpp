/// run.hpp — runs one task to its end on its own worker: all that a small program needs.
#pragma once

#include <source_location>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/task.hpp>
#include <corering/core/worker.hpp>
#include <corering/engine/awaitable.hpp>

namespace corering {
namespace detail {

/// Stays on `worker` and joins the task there: so the worker cannot end before the task has, wherever that
/// is.
template <class T>
Task<void> run_and_stop(Task<T> task, Worker& worker, Outcome<T>& outcome) {
  try {
    JoinHandle<T> running = spawn(std::move(task));
    if constexpr (std::is_void_v<T>) {
      co_await std::move(running);
    } else {
      T value = co_await std::move(running);
      outcome.set_value(std::move(value));
    }
  } catch (...) {
    outcome.set_exception();
  }
  worker.request_stop();
}

}  // namespace detail

/// Runs `task` on the calling thread, on a worker made with `options` (of which `cpu` and `name` are for
/// threads that a worker starts itself), and returns when the task, and everything that it has spawned on
/// this worker, have ended. Yields `Result<T>` for a `Task<T>` and for a `Task<Result<T>>`. When the task
/// ends, what it has spawned and not joined is cancelled, as by Worker::request_stop(). An exception of the
/// task comes out. thread: any that runs no worker; on a worker the program ends with a message: co_await the
/// task instead errors: those of Worker::run(), when the ring cannot be set up; then the task has not run
template <class T>
[[nodiscard]] typename detail::AsResult<T>::type run(
    Task<T> task, WorkerOptions options = {}, std::source_location where = std::source_location::current()) {
  CORERING_ASSERT_AT(
      where, Worker::current() == nullptr,
      "run() was called on a worker's thread, which would wait for itself: co_await the task instead");
  detail::Outcome<T> outcome;
  Worker worker(std::move(options));
  const Result<void> ran =
      worker.run([&](Worker&) { spawn(detail::run_and_stop(std::move(task), worker, outcome)).detach(); });
  if (!ran) return std::unexpected(ran.error());
  if constexpr (std::is_void_v<T>) {
    outcome.take();
    return {};
  } else {
    return outcome.take();
  }
}

}  // namespace corering
