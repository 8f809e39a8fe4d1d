/// operations_test.cpp — every operation for real: that it does what it says, and how it fails.
///
/// There is a row here for each row of docs/OPERATIONS.md. CTest runs this program as it is, and again for
/// each thing that CORERING_MASK can hide. Then a row must work with its fallback, or say which kernel it
/// needs.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "operations/rows.hpp"
#include "support/cheating_kernel.hpp"

namespace corering::test {
namespace {

// ---- each of them, on rings of two sizes ----

Task<void> play(const Row& row, const std::function<Outcome(Stage&)>& part, std::error_code& outcome,
                bool& offered) {
  offered = !row.need || here::capabilities().has(*row.need);
  Stage stage;
  outcome = co_await part(stage);
  EXPECT_EQ(stage.pool->in_kernel() + stage.pool->lent(), stage.pool->capacity());
}

class Operation : public testing::TestWithParam<std::tuple<std::size_t, bool>> {
 protected:
  const Row& row = OperationRows::every_row()[std::get<0>(GetParam())];

  void plays(const std::function<Outcome(Stage&)>& part) {
    WorkerOptions options;
    if (std::get<1>(GetParam())) {
      options.sq_entries = 4;
      options.cq_entries = 8;
    }
    const int descriptors = open_descriptors();
    run_on_a_worker_here(play(row, part, outcome, offered), options);
    EXPECT_EQ(open_descriptors(), descriptors);
  }
  /// The same on a kernel that answers every plain request in two parts.
  void plays_in_parts(const std::function<Outcome(Stage&)>& part) {
    CheatingKernel kernel;
    kernel.on_answer = [&kernel](const Cqe& real) { return in_two_parts(kernel, real); };
    run_on_a_worker_here(play(row, part, outcome, offered), {.kernel = &kernel});
  }
  void says_what_it_needs() const {
    EXPECT_EQ(outcome, std::errc::operation_not_supported);
    EXPECT_NE(outcome.message().find("needs Linux"), std::string::npos) << outcome.message();
  }

  std::error_code outcome;
  bool offered = false;
};

TEST_P(Operation, works) {
  plays(row.works);
  if (!offered) return says_what_it_needs();
  EXPECT_FALSE(outcome) << outcome.message();
}

TEST_P(Operation, works_although_the_kernel_answers_in_parts) {
  plays_in_parts(row.works);
  if (!offered) return says_what_it_needs();
  EXPECT_FALSE(outcome) << outcome.message();
}

TEST_P(Operation, fails) {
  plays(row.fails);
  if (!offered && outcome != row.expected) return says_what_it_needs();
  EXPECT_EQ(outcome, row.expected) << outcome.message();
}

std::string case_name(const testing::TestParamInfo<std::tuple<std::size_t, bool>>& info) {
  std::string name = OperationRows::every_row()[std::get<0>(info.param)].name;
  std::erase_if(name, [](char c) { return c == '(' || c == ')' || c == ','; });
  std::ranges::replace(name, ' ', '_');
  return name + (std::get<1>(info.param) ? "_on_a_tiny_ring" : "_on_a_usual_ring");
}
INSTANTIATE_TEST_SUITE_P(Every, Operation,
                         testing::Combine(testing::Range(std::size_t{0}, OperationRows::every_row().size()),
                                          testing::Bool()),
                         case_name);

// ---- all of them ----

/// Returns the first cell of each row in the headers.
std::set<std::string> documented() {
  std::set<std::string> names;
  for (const auto& header : std::filesystem::recursive_directory_iterator(CORERING_SOURCE_DIR "/include")) {
    std::ifstream in(header.path());
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("/// | ")) continue;
      names.insert(line.substr(6, line.find(" | ", 6) - 6));
    }
  }
  return names;
}

TEST(Operations, each_that_is_documented_is_tested_here) {
  std::set<std::string> tested;
  for (const Row& row : OperationRows::every_row()) tested.insert(row.name);
  EXPECT_EQ(documented(), tested);
}

// The tests with a mask are listed in tests/CMakeLists.txt.
TEST(Operations, are_tested_without_everything_that_can_be_missing) {
  std::set<std::string> listed;
  std::istringstream names(CORERING_EVERY_MASK);
  for (std::string name; std::getline(names, name, ',');) listed.insert(name);
  std::set<std::string> offered;
  for (int i = 0; i < static_cast<int>(Feature::count_); ++i) {
    offered.emplace(offer_of(static_cast<Feature>(i)).name);
  }
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    const Offer* const offer = offer_of(static_cast<Opcode>(i));
    if (offer != nullptr) offered.emplace(offer->name);
  }
  EXPECT_EQ(listed, offered);
}

// Buffer rings have replaced PROVIDE_BUFFERS and REMOVE_BUFFERS. RECV_ZC needs a network card of its own and
// is left to async_raw().
TEST(Operations, are_there_for_every_opcode_but_three) {
  const std::set<std::string> names = documented();
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    std::string name(opcode_names[i]);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    if (name == "PROVIDE_BUFFERS" || name == "REMOVE_BUFFERS" || name == "RECV_ZC") continue;
    EXPECT_TRUE(std::ranges::any_of(names, [&name](const std::string& known) {
      return known == name || known.starts_with(name + " ");
    })) << name;
  }
}

}  // namespace
}  // namespace corering::test
