/// html.hpp — a trace as one page that any browser opens, without a network.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "operations.hpp"
#include "output.hpp"

namespace iotrace {

/// Says in words why an operation took so long. An empty text leaves the explanation to the page.
using Explain = std::function<std::string(const Operation&)>;

/// How many of the slowest operations, and of those that failed, the page explains with the words of
/// `iotrace why`.
inline constexpr std::size_t explained_operations = 200;

/// Writes the page: the code, and the trace in a compact form: about 7 characters an event.
void write_html(const Trace& trace, const Explain& why, Output& out);

}  // namespace iotrace
