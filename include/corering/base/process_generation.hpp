/// process_generation.hpp — whether this is still the process that made something.
#pragma once

namespace corering {

/// Returns a number that is another one in each child that fork(2) makes. What was made under one number must
/// not be used under another: threads, rings and what is on its way between them stay with the parent.
/// thread: any; async-signal-safe after the first call
[[nodiscard]] unsigned process_generation() noexcept;

}  // namespace corering
