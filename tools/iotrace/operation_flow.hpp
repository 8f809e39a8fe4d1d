/// operation_flow.hpp — any operation of a trace as the diagram of the two flows.
#pragma once

#include <optional>

#include "flow.hpp"
#include "operations.hpp"

namespace iotrace {

/// Returns the steps of one operation: as "Switch to Worker" if its coroutine hopped to the worker, and as
/// "Worker Callback" otherwise. A wait is drawn with what it was for, and its end. Hops and posts have none.
[[nodiscard]] std::optional<FlowRecord> flow_of(const Trace& trace, const Operation& operation);

}  // namespace iotrace
