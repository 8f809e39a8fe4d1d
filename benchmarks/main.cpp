/// main.cpp — the harness: both sides of every workload, interleaved in one run, medians of ratios.
///
/// Usage: corering_bench [--json] [--rounds N] [WORKLOAD...]
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sched.h>
#include <string>
#include <string_view>
#include <vector>

#include "workloads.hpp"

namespace {

using bench::Workload;

struct Options {
  bool json = false;
  unsigned rounds = 7;
  std::vector<std::string> names;
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

struct Measured {
  Spread their_ns;
  Spread our_ns;
  Spread ratio;
};

// A B, B A, A B, ...: what drifts while the machine warms up or is busy hits both sides alike. Round 0 warms
// up.
Measured measure(const Workload& workload, unsigned rounds) {
  std::vector<double> theirs, ours, ratios;
  for (unsigned round = 0; round <= rounds; ++round) {
    const auto per_operation = [&](const auto& side) {
      return side(workload.operations) / static_cast<double>(workload.operations);
    };
    double their_ns = 0, our_ns = 0;
    if (round % 2 == 0) {
      their_ns = per_operation(workload.theirs);
      our_ns = per_operation(workload.ours);
    } else {
      our_ns = per_operation(workload.ours);
      their_ns = per_operation(workload.theirs);
    }
    if (round == 0) continue;
    theirs.push_back(their_ns);
    ours.push_back(our_ns);
    ratios.push_back(our_ns / their_ns);
  }
  return {spread_of(theirs), spread_of(ours), spread_of(ratios)};
}

void print_row(const Workload& workload, const Measured& measured) {
  std::printf("%-8s %-26s %-5s %9.1f %9.1f   x%.2f  (%.2f to %.2f)\n", workload.name.c_str(),
              workload.parameters.c_str(), workload.other.c_str(), measured.their_ns.median,
              measured.our_ns.median, measured.ratio.median, measured.ratio.min, measured.ratio.max);
  std::fflush(stdout);
}

void print_record(const Workload& workload, const char* subject, const Spread& ns, double ratio,
                  unsigned rounds, bool first) {
  std::printf(
      "%s  {\"workload\": \"%s\", \"parameters\": \"%s\", \"subject\": \"%s\", \"metric\": \"ns/operation\", "
      "\"value\": %.2f, \"min\": %.2f, \"max\": %.2f, \"rounds\": %u, \"ratio_to_%s\": %.4f}",
      first ? "" : ",\n", workload.name.c_str(), workload.parameters.c_str(), subject, ns.median, ns.min,
      ns.max, rounds, workload.other.c_str(), ratio);
}

int usage(const char* problem, std::string_view what) {
  std::fprintf(stderr,
               "bench: %s '%.*s'; usage: bench [--json] [--rounds N] [WORKLOAD...], workloads:", problem,
               static_cast<int>(what.size()), what.data());
  std::string last;
  for (const Workload& workload : bench::all_workloads()) {
    if (workload.name != last) std::fprintf(stderr, " %s", workload.name.c_str());
    last = workload.name;
  }
  std::fputc('\n', stderr);
  return 2;
}

void pin_to_first_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  sched_setaffinity(0, sizeof set, &set);
}

int run(const Options& options) {
  pin_to_first_processor();
  if (!options.json) {
    std::printf("%-35s %-5s %9s %9s   ratio, median (min to max) of %u rounds\n", "ns per operation", "other",
                "theirs", "corering", options.rounds);
  }
  bool first = true;
  if (options.json) std::puts("[");
  for (const Workload& workload : bench::all_workloads()) {
    if (!options.names.empty() && std::ranges::find(options.names, workload.name) == options.names.end())
      continue;
    const Measured measured = measure(workload, options.rounds);
    if (options.json) {
      print_record(workload, workload.other.c_str(), measured.their_ns, 1, options.rounds, first);
      print_record(workload, "corering", measured.our_ns, measured.ratio.median, options.rounds, false);
      first = false;
    } else {
      print_row(workload, measured);
    }
  }
  if (options.json) std::puts("\n]");
  return 0;
}

int parse_and_run(int argc, char** argv) {
  Options options;
  const std::vector<Workload> all = bench::all_workloads();
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--rounds") {
      const std::string_view value = i + 1 < argc ? argv[++i] : "";
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.rounds);
      if (error != std::errc() || end != value.data() + value.size() || options.rounds == 0) {
        return usage("--rounds needs a number above 0, not", value);
      }
    } else if (std::ranges::any_of(all,
                                   [&](const Workload& workload) { return workload.name == argument; })) {
      options.names.emplace_back(argument);
    } else {
      return usage("unknown workload", argument);
    }
  }
  return run(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
