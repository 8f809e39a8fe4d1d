/// main.cpp — which workloads, and how often.
///
/// Usage: corering_bench [--json] [--rounds N] [--all | WORKLOAD...]
/// Returns 0, 1 after a failure, 2 if it is called in another way, and 3 if a promise was missed for sure.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "harness.hpp"
#include "processors.hpp"
#include "report.hpp"
#include "workloads.hpp"

namespace {

using bench::Workload;

struct Options {
  bool json = false;
  bool all = false;
  unsigned rounds = 5;
  std::vector<std::string> names;
};

void print_names(const std::vector<Workload>& all, bool core) {
  std::vector<std::string_view> printed;
  for (const Workload& workload : all) {
    if (workload.core != core || std::ranges::find(printed, workload.name) != printed.end()) continue;
    std::fprintf(stderr, " %s", workload.name.c_str());
    printed.push_back(workload.name);
  }
}

int usage(const std::vector<Workload>& all, const char* problem, std::string_view what) {
  std::fprintf(stderr,
               "bench: %s '%.*s'; usage: bench [--json] [--rounds N] [--all | WORKLOAD...], workloads:",
               problem, static_cast<int>(what.size()), what.data());
  print_names(all, true);
  std::fputs("; only when named, or (except the last) with --all:", stderr);
  print_names(all, false);
  std::fputc('\n', stderr);
  return 2;
}

bool is_wanted(const Workload& workload, const Options& options) {
  if (options.all) return !workload.only_when_named;
  if (options.names.empty()) return workload.core;
  return std::ranges::any_of(
      options.names, [&](const std::string& name) { return name == workload.name || name == workload.with; });
}

int run(const std::vector<Workload>& all, const Options& options) {
  bench::pin_to(bench::first_processor());
  bench::Report report(options.json, options.rounds);
  for (const Workload& workload : all) {
    if (is_wanted(workload, options)) report.add(workload, bench::measure(workload, options.rounds));
  }
  constexpr int missed = 3;
  return report.finish() ? 0 : missed;
}

int parse_and_run(int argc, char** argv) {
  Options options;
  const std::vector<Workload> all = bench::all_workloads();
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--all") {
      options.all = true;
    } else if (argument == "--rounds") {
      const std::string_view value = i + 1 < argc ? argv[++i] : "";
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.rounds);
      if (error != std::errc() || end != value.data() + value.size() || options.rounds == 0) {
        return usage(all, "--rounds needs a number above 0, not", value);
      }
    } else if (std::ranges::find(all, argument, &Workload::name) != all.end()) {
      options.names.emplace_back(argument);
    } else {
      return usage(all, "unknown workload", argument);
    }
  }
  return run(all, options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
