/// promises.cpp — what has promises is measured once more, without the subjects that they do not name.
#include <algorithm>

#include "workloads.hpp"

namespace bench {
namespace {

/// A promise about a single hop needs more than a few rounds, too.
constexpr unsigned fewest_repeats = 3;

bool is_in_a_promise(const Workload& workload, const Subject& subject) {
  return std::ranges::any_of(workload.promises, [&](const Promise& promise) {
    return promise.subject == subject.name || promise.to == subject.name;
  });
}

}  // namespace

void add_promised_workloads(std::vector<Workload>& all) {
  const std::size_t count = all.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (all[i].promises.empty()) continue;
    Workload workload = all[i];
    workload.parameters = workload.name + ", " + workload.parameters;
    workload.name = "emulated";
    workload.core = false;
    workload.repeats = std::max(workload.repeats, fewest_repeats);
    workload.only_when_named = true;
    std::erase_if(workload.subjects,
                  [&](const Subject& subject) { return !is_in_a_promise(all[i], subject); });
    all.push_back(std::move(workload));
  }
}

}  // namespace bench
