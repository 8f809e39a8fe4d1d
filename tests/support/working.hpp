/// working.hpp — what the tests of workers share.
#pragma once

#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering::test {

inline Task<std::thread::id> which_thread() { co_return std::this_thread::get_id(); }

inline Task<void> tells(Result<void>& told, Worker& worker) { told = co_await SwitchToWorker(worker); }

}  // namespace corering::test
