/// lane_doctor.hpp — `iotrace doctor`: what can be seen on this machine, and what to do to see more.
#pragma once

#include <string_view>
#include <vector>

namespace iotrace {

/// Takes what stands after the word `doctor`, and returns the exit code: 0 if everything can be seen, 1 if
/// something cannot, 2 for a wrong call.
int doctor_command(const std::vector<std::string_view>& arguments);

}  // namespace iotrace
