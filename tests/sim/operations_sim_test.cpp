/// operations_sim_test.cpp — docs/SIMULATION.md names each operation that a simulated world does not model.
#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include <corering/sim/faults.hpp>
#include <gtest/gtest.h>

#include "sim/calls.hpp"

namespace corering::sim {
namespace {

std::optional<Opcode> opcode_named(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    const auto opcode = static_cast<Opcode>(i);
    if (name_of(opcode) == name) return opcode;
  }
  return std::nullopt;
}

/// The rows of docs/OPERATIONS.md whose opcode no world knows.
std::set<std::string> not_modelled(std::size_t& rows) {
  static const std::regex row(R"(^\| `(\w+)` \| (\w+)( |\b).*)");
  std::set<std::string> names;
  std::ifstream in(std::string(CORERING_SOURCE_DIR) + "/docs/OPERATIONS.md");
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row) || match[2] == "any") continue;
    ++rows;
    const std::optional<Opcode> opcode = opcode_named(match[2]);
    EXPECT_TRUE(opcode.has_value()) << line;
    if (opcode && !is_modelled(*opcode)) names.insert(match[1]);
  }
  return names;
}

/// What the page lists under "Not modelled".
std::set<std::string> named_by_the_page() {
  static const std::regex item(R"(`(async_\w+)`)");
  std::set<std::string> names;
  std::ifstream in(std::string(CORERING_SOURCE_DIR) + "/docs/SIMULATION.md");
  bool is_inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) is_inside = line == "## Not modelled";
    if (!is_inside) continue;
    for (std::sregex_iterator it(line.begin(), line.end(), item); it != std::sregex_iterator(); ++it)
      names.insert((*it)[1]);
  }
  return names;
}

TEST(SimOperations, those_that_are_not_modelled_are_named_in_the_documentation) {
  std::size_t rows = 0;
  EXPECT_EQ(not_modelled(rows), named_by_the_page());
  EXPECT_GT(rows, 60U) << "the test no longer sees the rows";
}

std::string whole(const std::string& page) {
  std::ifstream in(std::string(CORERING_SOURCE_DIR) + page);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(SimOperations, each_kind_of_fault_is_in_the_documentation) {
  const std::string page = whole("/docs/SIMULATION.md");
  for (std::size_t i = 0; i < fault_count; ++i) {
    const std::string name(name_of(static_cast<Fault>(i)));
    EXPECT_NE(page.find("`" + name + "`"), std::string::npos) << name;
  }
  EXPECT_NE(whole("/README.md").find("which of " + std::to_string(fault_count) + " kinds of faults strike"),
            std::string::npos);
}

TEST(SimOperations, knows_opcodes_by_their_names) {
  EXPECT_EQ(opcode_named("RECV"), Opcode::recv);
  EXPECT_EQ(opcode_named("RECEIVE"), std::nullopt);
  EXPECT_TRUE(is_modelled(Opcode::recv));
  EXPECT_FALSE(is_modelled(Opcode::futex_wait));
}

}  // namespace
}  // namespace corering::sim
