/// document_test.cpp — docs/KERNELS.md names scripts that are there, and docs/SIMULATION.md what is skipped.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace corering {
namespace {

/// Every script as a page names it: "Links.run_in_their_order".
std::set<std::string> every_script() {
  std::set<std::string> names;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& group = *all.GetTestSuite(i);
    const std::string name = group.name();
    for (int j = 0; j < group.total_test_count(); ++j) {
      const std::string test = group.GetTestInfo(j)->name();
      names.insert(name.substr(name.find('/') + 1) + "." + test.substr(0, test.find('/')));
    }
  }
  return names;
}

TEST(Documents, of_the_kernels_name_scripts_that_are_there) {
  static const std::regex script(R"(`([A-Z]\w+\.[a-z]\w+)`)");
  const std::set<std::string> there = every_script();
  std::ifstream in(std::string(CORERING_SOURCE_DIR) + "/docs/KERNELS.md");
  int named = 0;
  for (std::string line; std::getline(in, line);) {
    for (std::sregex_iterator it(line.begin(), line.end(), script); it != std::sregex_iterator(); ++it) {
      ++named;
      EXPECT_TRUE(there.contains((*it)[1])) << (*it)[1] << " is not a script";
    }
  }
  EXPECT_GT(named, 40);
}

/// All of a file in one line.
std::string line_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string all, word;
  while (in >> word) all += word + " ";
  return all;
}

TEST(Documents, of_the_simulation_name_what_scripts_are_skipped_for) {
  static const std::regex skip(R"re(NOT_SIMULATED\("([^"]+)"\))re");
  const std::filesystem::path root(CORERING_SOURCE_DIR);
  const std::string page = line_of(root / "docs/SIMULATION.md");
  int named = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/conformance")) {
    const std::string script = line_of(entry.path());
    for (std::sregex_iterator it(script.begin(), script.end(), skip); it != std::sregex_iterator(); ++it) {
      ++named;
      EXPECT_NE(page.find((*it)[1]), std::string::npos) << (*it)[1] << " is not on the page";
    }
  }
  EXPECT_GT(named, 15);
}

}  // namespace
}  // namespace corering
