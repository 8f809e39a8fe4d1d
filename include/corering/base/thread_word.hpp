/// thread_word.hpp — a word of the calling thread's own, looked up anew each time.
///
/// A coroutine may go on on another thread behind each co_await, but compilers take a thread_local's address
/// for the same all through a function: clang moved it over suspensions, and mended that one optimisation
/// after the other (llvm-project issues 47179 and 63022, pull request 81937). So what is inlined into
/// coroutines does not name the variable. It reads it here.
#pragma once

/// Of a thread_local pointer whose symbol has this name (`__asm__("name")`) and whose tls_model is
/// initial-exec, on its definition too. Whoever writes to the variable says thread_word_written() behind
/// that. An expression of type void*; `otherwise` is what to call where this cannot be said, a function that
/// is not inlined.
#if defined(__x86_64__) && defined(__LP64__)
#define CORERING_THREAD_WORD(name, otherwise)                                            \
  __extension__({                                                                        \
    void* word;                                                                          \
    __asm__ volatile("{movq " name "@gottpoff(%%rip), %0|mov %0, qword ptr [rip + " name \
                     "@gottpoff]}\n\t"                                                   \
                     "{movq %%fs:(%0), %0|mov %0, qword ptr fs:[%0]}"                    \
                     : "=r"(word));                                                      \
    word;                                                                                \
  })
#else
#define CORERING_THREAD_WORD(name, otherwise) static_cast<void*>(otherwise)
#endif

namespace corering {

/// The reads above do not name the variable, so a compiler might think that nobody reads what was written.
inline void thread_word_written() noexcept { __asm__ volatile("" ::: "memory"); }

}  // namespace corering
