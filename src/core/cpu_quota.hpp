/// cpu_quota.hpp — how many processors' worth of time the cgroup of this process may use.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace corering {

/// Returns the lowest quota of the process's cgroup and the cgroups around it, rounded up to whole
/// processors: at least 1. Returns nothing if there is no quota, or nobody knows. It reads
/// `root`/proc/self/cgroup, and cpu.max (version 2) or cpu.cfs_quota_us (version 1) below
/// `root`/sys/fs/cgroup.
/// follows: cgroups(7)
[[nodiscard]] std::optional<std::size_t> processors_by_quota(const std::filesystem::path& root = "/");

}  // namespace corering
