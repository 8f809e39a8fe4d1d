/// report.hpp — what has been measured, as a table for people or as JSON; each row is written at once.
#pragma once

#include <cstdio>
#include <vector>

#include "harness.hpp"

namespace bench {

/// Writes to standard output, from its construction to finish().
class Report {
 public:
  Report(bool json, unsigned rounds);
  void add(const Workload& workload, const Measured& measured);
  /// Also says which promises were held; beside JSON, on standard error. Returns false if one was missed for
  /// sure.
  [[nodiscard]] bool finish() const;

 private:
  void print_row(const Workload& workload, const Row& row) const;
  void print_outcomes(std::FILE* to) const;
  void print_record(const Workload& workload, const Row& row);

  bool json_;
  unsigned rounds_;
  bool first_ = true;
  std::vector<Outcome> outcomes_;
};

}  // namespace bench
