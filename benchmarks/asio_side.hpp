/// asio_side.hpp — the same work with Asio (libasio-dev), as its documentation recommends: C++20
/// coroutines on one io_context that one thread runs.
#pragma once

#include <cstdint>

namespace bench::asio_side {

/// Each function returns nanoseconds for `count` of what its name says, without the set-up.
double spawn(std::uint64_t count);              ///< co_spawn of a coroutine that ends at once, detached
double await_ready_task(std::uint64_t count);   ///< co_await of a coroutine that ends at once
double channel_ping_pong(std::uint64_t count);  ///< round trips between two coroutines over two channels
double mutex(std::uint64_t count);              ///< Asio has none; a channel of one token, free at every turn
double arm_and_disarm(std::uint64_t count);     ///< a steady_timer that is cancelled before it fires
double many_timers(std::uint64_t count);  ///< `count` coroutines sleep at once, until the last has woken
/// Does arm_and_disarm while `pending` other timers wait, some for less and some for more.
double arm_among(std::uint64_t pending, std::uint64_t count);
double suspend_many(
    std::uint64_t count);  ///< coroutines that all wait for one timer, which is then cancelled
/// Calls co_spawn from this thread, `window` at a time, for coroutines that end at once. A thread runs their
/// context on `processor`.
double post(std::uint64_t count, std::uint64_t window, int processor);
double when_all(std::uint64_t count);  ///< members, in groups of 100 that are spawned and joined

}  // namespace bench::asio_side
