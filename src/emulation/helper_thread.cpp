/// helper_thread.cpp — starts a thread that the program does not notice.
#include "emulation/helper_thread.hpp"

#include <csignal>

namespace corering::emulation {

// Signals are blocked before the thread exists: one that is sent to the process goes to the program's
// threads.
int start_helper_thread(pthread_t& thread, const char* name, void* (*run)(void*), void* argument) noexcept {
  constexpr std::size_t stack_size = 256 * 1024;
  pthread_attr_t attributes;
  if (const int failed = ::pthread_attr_init(&attributes); failed != 0) return -failed;
  ::pthread_attr_setstacksize(&attributes, stack_size);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = ::pthread_create(&thread, &attributes, run, argument);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (failed == 0) ::pthread_setname_np(thread, name);
  return -failed;
}

}  // namespace corering::emulation
