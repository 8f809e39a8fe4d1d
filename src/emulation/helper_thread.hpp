/// helper_thread.hpp — a thread with a small stack, on which no signal is delivered.
#pragma once

#include <pthread.h>

namespace corering::emulation {

/// Starts a thread and names it. It must be joined. Returns 0, or -errno.
int start_helper_thread(pthread_t& thread, const char* name, void* (*run)(void*), void* argument) noexcept;

}  // namespace corering::emulation
