/// fake_coroutine.hpp — something that can be resumed and is not a coroutine.
///
/// Combinators (a deadline around an operation, the members of when_all) must be told when what they await
/// has ended. A coroutine for each would need a frame to be allocated. A FakeCoroutine lies inside the
/// awaiter and looks like a suspended coroutine: first two function pointers, resume and destroy, and then
/// the promise. Every compiler for Linux lays coroutine frames out like this (clang: "Coroutines in LLVM",
/// switched-resume lowering; g++ does the same). coroutine_handle::resume() and promise() rely on it, and the
/// tests check both.
#pragma once

#include <coroutine>
#include <cstddef>
#include <type_traits>

#include <corering/base/assert.hpp>
#include <corering/engine/promise_base.hpp>

namespace corering {

/// Cannot be moved: its address is the coroutine's.
class FakeCoroutine {
 public:
  /// The function that is called when it is resumed, with the address of this object: see from(). The
  /// function returns soon and resumes nothing itself.
  using Resumed = void (*)(void* self);

  explicit FakeCoroutine(Resumed resumed) noexcept : resume_(resumed), destroy_(&refuse_to_destroy) {}
  FakeCoroutine(FakeCoroutine&&) = delete;

  /// The handle to give to an awaiter.
  [[nodiscard]] std::coroutine_handle<PromiseBase> handle() noexcept {
    void* address = this;
    // clang's coroutines are called by a special convention (fastcc). With one pointer as parameter, its
    // machine code is the same as with the usual convention. But where the optimiser sees both ends, it takes
    // the difference for undefined behaviour and deletes the call. This keeps it from seeing that the address
    // is ours.
    __asm__("" : "+r"(address));
    return std::coroutine_handle<PromiseBase>::from_address(address);
  }

  [[nodiscard]] static FakeCoroutine& from(void* self) noexcept { return *static_cast<FakeCoroutine*>(self); }

  /// The promise that what is awaited sees as its caller's, and inherits from.
  [[nodiscard]] PromiseBase& inner_promise() noexcept { return promise_; }

 private:
  static void refuse_to_destroy(void*) {
    CORERING_ASSERT(false, "a FakeCoroutine was destroyed like a real coroutine");
  }

  // Whoever resumes or destroys a coroutine reads these.
  [[maybe_unused]] void (*resume_)(void*);
  [[maybe_unused]] void (*destroy_)(void*);
  PromiseBase promise_;

  friend struct FakeCoroutineLayout;
};

/// The promise lies after the two pointers, at the next address that its alignment allows.
struct FakeCoroutineLayout {
  static_assert(std::is_standard_layout_v<FakeCoroutine> && alignof(PromiseBase) <= 2 * sizeof(void*));
  static_assert(offsetof(FakeCoroutine, resume_) == 0 && offsetof(FakeCoroutine, destroy_) == sizeof(void*) &&
                offsetof(FakeCoroutine, promise_) == 2 * sizeof(void*));
};

}  // namespace corering
