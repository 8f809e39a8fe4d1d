/// doctor.hpp — what works on this machine, what does not, and what to do about it.
#pragma once

#include <string>
#include <vector>

namespace corering_tool {

/// The result of one examination.
struct Finding {
  enum class State { fine, worse, broken };  ///< worse: it works without it, or with less
  std::string name;
  State state = State::fine;
  std::string says;
  std::string advice;  ///< empty when there is nothing to do
};

/// Something that not every kernel has.
struct Optional {
  std::string name;
  bool there = false;
  std::string since;
  std::string instead;  ///< empty: operations that need it fail
};

struct Diagnosis {
  bool usable = false;  ///< true if a worker runs here
  std::string kernel;   ///< what workers use here: Worker::kernel_name()
  bool emulation_works = false;
  std::vector<Finding> findings;
  std::vector<Optional> optional;
};

/// Tries everything, on its own worker.
[[nodiscard]] Diagnosis examine();

[[nodiscard]] std::string as_text(const Diagnosis& diagnosis);
[[nodiscard]] std::string as_json(const Diagnosis& diagnosis);

}  // namespace corering_tool
