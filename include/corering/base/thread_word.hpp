/// thread_word.hpp — a word that belongs to the calling thread, looked up again each time.
///
/// After each co_await a coroutine may be on another thread. But compilers assume that the address of a
/// thread_local is the same in a whole function: clang moved it across suspensions, and its authors repaired
/// one optimisation after the other (llvm-project issues 47179 and 63022, pull request 81937). So code that
/// is inlined into coroutines does not name the variable. It reads it here.
#pragma once

/// Reads a thread_local pointer; it is an expression of type void*. The pointer's symbol must have this name
/// (`__asm__("name")`), and its tls_model must be initial-exec, on its definition too. Code that writes to
/// the variable calls thread_word_written() after that. Where this assembly does not exist, the macro
/// evaluates `otherwise`: a call of a function that is not inlined.
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
/// This call prevents that.
inline void thread_word_written() noexcept { __asm__ volatile("" ::: "memory"); }

}  // namespace corering
