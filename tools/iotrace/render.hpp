/// render.hpp — a flow as text, as a Mermaid sequence diagram, as JSON.
#pragma once

#include <string>

#include "flow.hpp"

namespace iotrace {

/// Returns what the worker ran on, and why, if that was not io_uring itself; or an empty text.
[[nodiscard]] std::string kernel_if_not_real(const FlowRecord& record);

/// Returns a line per step: the seconds since the first step, who did it, what happened, and in angle
/// brackets the time to the next step, as strace -T does. A step that nobody saw has a question mark instead
/// of a time, and the words "not observed".
[[nodiscard]] std::string render_text(const FlowRecord& record);

/// Returns a sequence diagram that Mermaid parses. A line begins with the words of the flow. Then may come
/// "not observed", and in brackets arguments, results, and the time. A comma in a participant's name is
/// written as an entity, because Mermaid allows none there.
[[nodiscard]] std::string render_mermaid(const FlowRecord& record);

/// Returns one object. Times are nanoseconds since the first step, and null if the step was not observed.
[[nodiscard]] std::string render_json(const FlowRecord& record);

}  // namespace iotrace
