/// why_foreign.hpp — what the kernel alone can tell of a request, of a program that is not built with
/// corering.
#pragma once

#include <string>

#include "why.hpp"

namespace iotrace {

/// Returns true if only the kernel has told of it.
[[nodiscard]] bool is_foreign(const Operation& operation) noexcept;

/// The same as explain(), for such an operation.
[[nodiscard]] Explanation explain_foreign(const Trace& trace, const Operation& operation);

/// Returns a line that says what is not known of it, or nothing if the program has recorded it itself.
[[nodiscard]] std::string unrecorded_of(const Operation& operation);

}  // namespace iotrace
