/// cpu_quota_test.cpp — quotas of cgroups, as their files say them.
#include "core/cpu_quota.hpp"

#include <fstream>

#include "support/story.hpp"

namespace corering {
namespace {

/// A directory that looks like the root of a system.
class System {
 public:
  /// Writes a file, with the directories that lead to it.
  void has(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = top() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  [[nodiscard]] std::filesystem::path top() const { return directory_ / ""; }

 private:
  test::TemporaryDirectory directory_;
};

TEST(CpuQuota, is_not_there_where_nobody_has_set_one) {
  const System system;
  EXPECT_EQ(processors_by_quota(system.top()), std::nullopt) << "no /proc";
  system.has("proc/self/cgroup", "0::/a/b");
  EXPECT_EQ(processors_by_quota(system.top()), std::nullopt) << "no cgroups";
  system.has("sys/fs/cgroup/a/b/cpu.max", "max 100000");
  EXPECT_EQ(processors_by_quota(system.top()), std::nullopt);
}

TEST(CpuQuota, is_the_lowest_of_the_cgroups_around_the_process) {
  const System system;
  system.has("proc/self/cgroup", "0::/a/b");
  system.has("sys/fs/cgroup/a/b/cpu.max", "max 100000");
  system.has("sys/fs/cgroup/a/cpu.max", "250000 100000");
  EXPECT_EQ(processors_by_quota(system.top()), 3U) << "two and a half";
  system.has("sys/fs/cgroup/a/b/cpu.max", "400000 200000");
  EXPECT_EQ(processors_by_quota(system.top()), 2U);
  system.has("sys/fs/cgroup/a/b/cpu.max", "1000 100000");
  EXPECT_EQ(processors_by_quota(system.top()), 1U) << "never less than one";
}

TEST(CpuQuota, of_a_container_is_at_the_top_although_the_path_is_the_hosts) {
  const System system;
  system.has("proc/self/cgroup", "0::/docker/0123");
  system.has("sys/fs/cgroup/cpu.max", "200000 100000");
  EXPECT_EQ(processors_by_quota(system.top()), 2U);
}

TEST(CpuQuota, is_read_in_the_older_form_too) {
  const System system;
  system.has("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/c\n0::/");
  system.has("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "-1");
  system.has("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000");
  EXPECT_EQ(processors_by_quota(system.top()), std::nullopt);
  system.has("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "350000");
  EXPECT_EQ(processors_by_quota(system.top()), 4U);
}

TEST(CpuQuota, limits_the_workers_of_a_pool_that_does_not_say_how_many) {
  cpu_set_t usable{};
  ASSERT_EQ(::sched_getaffinity(0, sizeof usable, &usable), 0);
  const auto processors = static_cast<std::size_t>(CPU_COUNT(&usable));
  EXPECT_EQ(WorkerPool().size(), std::min(processors, processors_by_quota().value_or(processors)));
  EXPECT_EQ(WorkerPool({.workers = 7, .worker = {}}).size(), 7U) << "who says how many gets them";
}

}  // namespace
}  // namespace corering
