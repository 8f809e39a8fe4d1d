/// render.hpp — a flow as text, as a Mermaid sequence diagram, as JSON.
#pragma once

#include <string>

#include "flow.hpp"

namespace iotrace {

/// A line per step: seconds since the first one, who, what, and in angle brackets the time to the next step,
/// as strace -T.
[[nodiscard]] std::string render_text(const FlowRecord& record);

/// A sequence diagram that Mermaid parses. Dashed and named "not observed": what nobody saw.
[[nodiscard]] std::string render_mermaid(const FlowRecord& record);

/// One object; times in nanoseconds since the first step, null where nothing was observed.
[[nodiscard]] std::string render_json(const FlowRecord& record);

}  // namespace iotrace
