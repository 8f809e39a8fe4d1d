/// power_cut.cpp — one world, a crash of its disk, and a second world; their reports become one.
#include <algorithm>
#include <cerrno>
#include <exception>

#include <corering/sim/power_cut.hpp>

namespace corering::sim {
namespace {

using Program = std::function<Task<void>(World&)>;

RunReport run_in(const WorldOptions& options, const Program& program) {
  World world(options);
  std::string failure;
  try {
    return world.run(program(world));
  } catch (const std::exception& thrown) {
    failure = thrown.what();
  } catch (...) {
    failure = "an exception that is no std::exception";
  }
  RunReport report = world.report();
  report.failure = std::move(failure);
  return report;
}

/// The world in which the program starts again.
WorldOptions second_world(WorldOptions options, const Faults& faults) {
  options.faults = faults;
  for (const Fault fault : {Fault::emfile, Fault::enospc, Fault::eio}) options.faults.forget(fault);
  options.power_cut_after = 0;
  return options;
}

Happening crash_event(Happening::Kind kind, std::int64_t at, std::size_t what = 0) {
  return {.at = at, .kind = kind, .what = static_cast<std::int32_t>(what)};
}

/// What came after the power was off tells nothing. If it never went off, it does so at the end.
void end_with_power_off(std::vector<Happening>& events) {
  const auto off = std::ranges::find(events, Happening::Kind::power_off, &Happening::kind);
  const std::int64_t end = events.empty() ? 0 : events.back().at;
  if (off == events.end()) return events.push_back(crash_event(Happening::Kind::power_off, end));
  events.erase(off + 1, events.end());
}

/// What tells the story of files: not when a call was lent to a helper, nor how workers wake up.
bool is_told(const Happening& event, const RunReport& report) noexcept {
  using enum Happening::Kind;
  if (event.kind == turn || event.kind == jump || event.kind == lent || event.kind == ready) return false;
  const bool is_own = event.fd >= 0 && event.fd < report.descriptors_of_workers;
  return !is_own && (event.kind != call || event.result != -EINPROGRESS);
}

void forget_details(RunReport& report) {
  std::erase_if(report.newest, [&report](const Happening& event) { return !is_told(event, report); });
}

/// Adds the faults that struck while the disk crashed.
void add_crash(RunReport& report, const Faults& with_crash) {
  end_with_power_off(report.newest);
  const std::int64_t at = report.newest.back().at;
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (with_crash[fault].hits == report.faults[fault].hits) continue;
    report.newest.push_back(crash_event(Happening::Kind::fault, at, i));
  }
  report.newest.push_back(crash_event(Happening::Kind::restart, at));
  report.faults = with_crash;
}

void add_second_world(RunReport& report, const RunReport& second) {
  report.failure = second.failure;
  report.hash = report.hash * 31 + second.hash;
  report.turns += second.turns;
  report.operations += second.operations;
  report.newest.insert(report.newest.end(), second.newest.begin(), second.newest.end());
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto fault = static_cast<Fault>(i);
    report.faults[fault].hits = std::max(report.faults[fault].hits, second.faults[fault].hits);
  }
}

}  // namespace

RunReport run_with_power_cut(const WorldOptions& options, const Program& before, const Program& after) {
  Disk own;
  WorldOptions first = options;
  if (first.disk == nullptr) first.disk = &own;
  RunReport report = run_in(first, before);
  forget_details(report);
  if (!report.is_good()) return report;
  Faults faults = report.faults;
  (void)first.disk->crash(options.seed, faults);
  add_crash(report, faults);
  RunReport second = run_in(second_world(first, faults), after);
  forget_details(second);
  add_second_world(report, second);
  return report;
}

}  // namespace corering::sim
