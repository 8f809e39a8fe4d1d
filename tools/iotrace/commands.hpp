/// commands.hpp — the sub-commands of iotrace that look at a trace file.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace iotrace {

/// Runs a sub-command, if the first argument names one. Returns the exit code: 0, 1 for a failure or for a
/// "no" (check, diff), 2 for a wrong call; for check and diff also for a file that cannot be read. Returns
/// nothing if the first argument names none of them, or is `flow` with `switch` or `callback`.
[[nodiscard]] std::optional<int> run_command(std::span<const std::string_view> arguments);

/// Returns a line for each sub-command.
[[nodiscard]] std::string_view commands_help() noexcept;

}  // namespace iotrace
