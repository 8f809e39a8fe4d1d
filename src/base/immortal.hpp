/// immortal.hpp — objects that are there before main and after its end, for as long as anybody can ask for
/// them.
#pragma once

namespace corering {

/// Holds an object that is never destroyed. Workers, destructors of static objects and threads that end late
/// use the library after main has returned. It needs no memory, and with `constinit` no moment to be made in.
template <class T>
union Immortal {
  constexpr Immortal() noexcept : object() {}
  Immortal(Immortal&&) = delete;
  ~Immortal() {}

  T object;
};

}  // namespace corering
