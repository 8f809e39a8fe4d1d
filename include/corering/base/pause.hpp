/// pause.hpp — what a thread does between two looks at a word that another thread is about to change.
#pragma once

namespace corering {

/// Tells the processor that this is a waiting loop: it saves power and lets the other hardware thread run.
inline void pause_processor() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace corering
