/// layering_test.cpp — each layer includes only those above it; read from the #include lines.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

const fs::path root = CORERING_SOURCE_DIR;

/// The layer of each folder. A file may include files of its own layer and of lower numbers.
const std::map<std::string, int> layers = {
    {"base", 1},   {"trace", 2},    {"uring", 3}, {"replay", 3}, {"emulation", 4},
    {"engine", 5}, {"core", 6},     {"sim", 7},   {"sync", 7},   {"resources", 8},
    {"io", 9},     {"streams", 10}, {"fs", 11},   {"net", 11},   {"process", 11}};

struct Include {
  fs::path file;
  std::string what;
  std::string folder;
};

std::vector<fs::path> library_files() {
  std::vector<fs::path> files;
  for (const char* const top : {"include/corering", "src"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const fs::path& path = entry.path();
      if (path.extension() == ".hpp" || path.extension() == ".cpp") files.push_back(path);
    }
  }
  return files;
}

std::vector<Include> includes_of(const fs::path& file) {
  static const std::regex ours(R"(^\s*#include\s+[<"](?:corering/)?([a-z_]+)/([a-z_]+\.hpp)[>"])");
  std::vector<Include> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, ours) && layers.contains(match[1]))
      found.push_back({file, line, match[1]});
  }
  return found;
}

TEST(Layering, every_library_file_belongs_to_a_layer) {
  for (const fs::path& file : library_files()) {
    if (file.filename() == "corering.hpp") continue;
    EXPECT_TRUE(layers.contains(file.parent_path().filename())) << file;
  }
}

TEST(Layering, no_file_includes_a_layer_below_its_own) {
  std::size_t checked = 0;
  for (const fs::path& file : library_files()) {
    if (file.filename() == "corering.hpp") continue;
    const int own = layers.at(file.parent_path().filename());
    for (const Include& include : includes_of(file)) {
      ++checked;
      EXPECT_LE(layers.at(include.folder), own) << file << ": " << include.what;
    }
  }
  EXPECT_GT(checked, 50U) << "the test no longer sees the includes";
}

TEST(Layering, only_the_kernel_seam_includes_liburing) {
  for (const fs::path& file : library_files()) {
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const bool includes = text.find("#include <liburing") != std::string::npos;
    EXPECT_EQ(includes, file.filename() == "real_kernel.cpp") << file;
  }
}

TEST(Layering, public_headers_include_no_private_ones) {
  for (const auto& entry : fs::recursive_directory_iterator(root / "include")) {
    if (entry.path().extension() != ".hpp") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      EXPECT_EQ(line.find("#include \""), std::string::npos) << entry.path() << ": " << line;
    }
  }
}

// If an `if` or `while` awaits in its condition and the coroutine has no local variable, g++ 12 lays out the
// frame wrongly, and the resume function never runs. This was measured at every optimisation level. So the
// result gets a name instead.
bool awaits_in_a_condition(const std::string& line) {
  static const std::regex keyword(R"(\b(if|while) \()");
  std::smatch found;
  if (!std::regex_search(line, found, keyword)) return false;
  const std::string rest = found.suffix();
  int depth = 1;
  std::size_t end = 0;
  for (; end < rest.size() && depth > 0; ++end) depth += rest[end] == '(' ? 1 : rest[end] == ')' ? -1 : 0;
  return rest.substr(0, end).find("co_await") != std::string::npos;
}

TEST(Style, sees_an_await_inside_a_condition) {
  EXPECT_TRUE(awaits_in_a_condition("  if (co_await a()) b();"));
  EXPECT_TRUE(awaits_in_a_condition("  while ((x = co_await a(b)) > 0) {"));
  EXPECT_FALSE(awaits_in_a_condition("  if (a(b) > 0) co_await c();"));
}

// g++ 12 also destroys an aggregate that is made inside a `co_yield` twice.
bool yields_an_aggregate(const std::string& line) {
  static const std::regex aggregate(R"(\bco_yield\s+[A-Za-z_:]+(<.*>)?\{)");
  return std::regex_search(line, aggregate);
}

TEST(Style, sees_an_aggregate_that_is_yielded) {
  EXPECT_TRUE(yields_an_aggregate("  co_yield Entry{.path = path};"));
  EXPECT_FALSE(yields_an_aggregate("  co_yield entry;"));
  EXPECT_FALSE(yields_an_aggregate("  co_yield Entry(path);"));
}

TEST(Style, nothing_awaits_inside_a_condition) {
  std::size_t files = 0;
  for (const char* const top : {"include", "src", "tools", "examples", "benchmarks", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (entry.path().extension() != ".hpp" && entry.path().extension() != ".cpp") continue;
      if (entry.path().filename() == "layering_test.cpp") continue;
      ++files;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        EXPECT_FALSE(awaits_in_a_condition(line)) << entry.path() << ": " << line;
        EXPECT_FALSE(yields_an_aggregate(line)) << entry.path() << ": " << line;
      }
    }
  }
  EXPECT_GT(files, 30U);
}

}  // namespace
