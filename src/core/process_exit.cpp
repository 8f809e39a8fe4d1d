/// process_exit.cpp — a note that exit() makes for us.
#include "core/process_exit.hpp"

#include <atomic>
#include <cstdlib>

#include <corering/engine/here.hpp>

namespace corering {
namespace {

std::atomic<bool> exiting = false;

// The list of exit() only grows, so a program that starts workers again and again adds no more than this.
std::atomic<int> notes_left = 1024;

}  // namespace

// exit() goes through its list from the end. A worker of static storage duration is destroyed when its turn
// comes, and it was made before it runs. So a note that is added when it begins to run comes first.
void watch_for_exit() noexcept {
  if (notes_left.load(std::memory_order_relaxed) <= 0) return;
  notes_left.fetch_sub(1, std::memory_order_relaxed);
  (void)std::atexit([] { exiting.store(true, std::memory_order_relaxed); });
}

bool has_exited_in_a_task() noexcept {
  return exiting.load(std::memory_order_relaxed) && here::loop() != nullptr;
}

}  // namespace corering
