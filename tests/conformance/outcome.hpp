/// outcome.hpp — what comes of a random script on a machine.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conformance/machine.hpp"
#include "conformance/random_script.hpp"

namespace corering::conformance {

/// For each request its answers in their order, and what the other side has read. In which order different
/// requests are answered is not a part of it.
class Outcome {
 public:
  void add(std::uint64_t number, std::string line) { lines_[number].push_back(std::move(line)); }
  void add_outside(std::string line) { add(0, std::move(line)); }
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Outcome&, const Outcome&) = default;

 private:
  std::map<std::uint64_t, std::vector<std::string>> lines_;
};

/// Runs it, with a ring of its own.
[[nodiscard]] Outcome run_script(const RandomScript& script, Machine& machine);

}  // namespace corering::conformance
