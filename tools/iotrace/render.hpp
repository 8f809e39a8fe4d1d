/// render.hpp — a flow as text, as a Mermaid sequence diagram, as JSON.
#pragma once

#include <string>

#include "flow.hpp"

namespace iotrace {

/// Returns a line per step: the seconds since the first step, the participants, what happened, and in angle
/// brackets the time to the next step, as strace -T does.
[[nodiscard]] std::string render_text(const FlowRecord& record);

/// Returns a sequence diagram that Mermaid parses. A step that nobody saw is dashed and named "not observed".
[[nodiscard]] std::string render_mermaid(const FlowRecord& record);

/// Returns one object. Times are nanoseconds since the first step, and null if the step was not observed.
[[nodiscard]] std::string render_json(const FlowRecord& record);

}  // namespace iotrace
