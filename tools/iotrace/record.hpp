/// record.hpp — `iotrace record -- COMMAND` and `iotrace attach PID`.
#pragma once

#include <string_view>
#include <vector>

namespace iotrace {

inline constexpr const char* record_usage =
    "usage: iotrace record [-o OUT] [--sample 1/N] [--buffer BYTES] -- COMMAND [ARGUMENT...]";

inline constexpr const char* attach_usage =
    "usage: iotrace attach [-o OUT] [--for SECONDS] [--capture LIMITS] [--sample 1/N] [--buffer BYTES] PID";

/// These take what stands after the word `record` or `attach`, and return the exit code.
int record_command(const std::vector<std::string_view>& arguments);
int attach_command(const std::vector<std::string_view>& arguments);

}  // namespace iotrace
