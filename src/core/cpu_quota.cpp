/// cpu_quota.cpp — reads what the cgroup says.
#include "core/cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <string>

#include <corering/base/assert.hpp>

namespace corering {
namespace {

namespace fs = std::filesystem;

/// A quota and the period in which it may be used up, in microseconds. What is not a number, such as "max",
/// is no quota.
std::optional<std::size_t> whole_processors(std::istream& quota, std::istream& period) {
  long long used = 0, of = 0;
  if (!(quota >> used) || !(period >> of) || used <= 0 || of <= 0) return std::nullopt;
  return static_cast<std::size_t>(used / of + (used % of != 0 ? 1 : 0));
}

std::optional<std::size_t> quota_of(const fs::path& group) {
  std::ifstream both(group / "cpu.max");
  if (both.is_open()) return whole_processors(both, both);
  std::ifstream quota(group / "cpu.cfs_quota_us"), period(group / "cpu.cfs_period_us");
  return whole_processors(quota, period);
}

/// Looks at the cgroup and at every one around it. In a container the path may be that of the host, which is
/// not there; then what is left of it is.
std::optional<std::size_t> lowest_quota(const fs::path& top, fs::path group) {
  std::optional<std::size_t> lowest;
  for (;; group = group.parent_path()) {
    const std::optional<std::size_t> here = quota_of(top / group.relative_path());
    if (here) lowest = std::min(lowest.value_or(*here), *here);
    CORERING_ASSERT(!here || *here > 0, "a quota pays for one processor at least");
    if (!group.has_relative_path()) return lowest;
  }
}

/// Returns true if a list of controllers, as in "cpu,cpuacct", names the one of processors.
bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

std::optional<std::size_t> processors_by_quota(const fs::path& root) {
  const fs::path mounted = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  std::optional<std::size_t> lowest;
  for (std::string line; std::getline(groups, line);) {  // number:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !names_cpu(controllers)) continue;
    const fs::path top = controllers.empty() ? mounted : mounted / controllers;
    const std::optional<std::size_t> quota = lowest_quota(top, line.substr(second + 1));
    if (quota) lowest = std::min(lowest.value_or(*quota), *quota);
  }
  return lowest;
}

}  // namespace corering
