/// house_test.cpp — the house as a ratchet: what is good today may get better, and not worse.
///
/// Reads the sources as text. A figure that got better may be tightened here; one that got worse is mended in
/// the code, not here.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

const fs::path root = CORERING_SOURCE_DIR;

struct File {
  std::string path;  ///< below the root
  std::vector<std::string> lines;
};

std::vector<File> files_below(std::initializer_list<const char*> tops, const std::set<std::string>& endings) {
  std::vector<File> files;
  for (const char* const top : tops) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (!endings.contains(entry.path().extension())) continue;
      File file{.path = fs::relative(entry.path(), root), .lines = {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  std::ranges::sort(files, {}, &File::path);
  return files;
}

const std::vector<File>& library() {
  static const std::vector<File> files = files_below({"include", "src"}, {".hpp", ".cpp"});
  return files;
}
const std::vector<File>& everything() {
  static const std::vector<File> files = files_below(
      {"include", "src", "tools", "examples", "benchmarks", "tests"}, {".hpp", ".cpp", ".c", ".h"});
  return files;
}

std::size_t indentation(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

std::string stem(const std::string& path) { return fs::path(path).stem(); }

/// mpsc_queue for MpscQueue.
std::string snake_case(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !snake.empty()) snake += '_';
    snake += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return snake;
}

// ---- how long ----

struct Function {
  std::string where;
  std::size_t length;
};

/// A function begins at a line that opens a block after a parameter list, and ends at the brace of the same
/// indentation: that is how clang-format lays it out.
bool begins_a_function(const std::string& line) {
  static const std::regex no_function(
      R"(^\s*(namespace|template <.*> class|class|struct|enum|union|if|for|while|switch|else|do|try|return|case|co_return|const auto|auto)\b|= \{$)");
  return line.ends_with("{") && line.find("//") == std::string::npos && line.find(')') != std::string::npos &&
         indentation(line) <= 4 && !line.starts_with("#") && !std::regex_search(line, no_function);
}

std::ptrdiff_t open_parentheses(const std::string& line) {
  return std::ranges::count(line, '(') - std::ranges::count(line, ')');
}

/// ": member(value)", and what follows it in a constructor's list.
bool starts_an_initialiser(const std::string& line) {
  const std::size_t at = indentation(line);
  return line.compare(at, 2, ": ") == 0 || (at >= 6 && line.find("{") != line.size() - 1);
}

std::vector<Function> functions_of(const File& file) {
  std::vector<Function> found;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (!begins_a_function(file.lines[i])) continue;
    // A definition whose parameters take several lines is indented by its first one.
    std::size_t first = i;
    for (auto open = open_parentheses(file.lines[i]); open < 0 && first > 0;) {
      open += open_parentheses(file.lines[--first]);
    }
    while (first > 0 && starts_an_initialiser(file.lines[first])) --first;
    const std::string end = std::string(indentation(file.lines[first]), ' ') + "}";
    for (std::size_t j = i + 1; j < file.lines.size(); ++j) {
      if (!file.lines[j].starts_with(end)) continue;
      found.push_back({file.path + ":" + std::to_string(i + 1), j - i - 1});
      break;
    }
  }
  return found;
}

std::vector<Function> functions_of(const std::vector<File>& files) {
  std::vector<Function> all;
  for (const File& file : files) {
    const std::vector<Function> some = functions_of(file);
    all.insert(all.end(), some.begin(), some.end());
  }
  std::ranges::sort(all, std::greater(), &Function::length);
  return all;
}

TEST(House, measures_the_length_of_a_function) {
  const File file{"a.cpp", {"int f(int x) {", "  if (x) {", "    g();", "  }", "  return x;", "}"}};
  const std::vector<Function> found = functions_of(file);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].length, 4U);
}

TEST(House, no_function_of_the_library_is_longer_than_today) {
  const std::vector<Function> functions = functions_of(library());
  ASSERT_GT(functions.size(), 800U) << "the test no longer sees the functions";
  EXPECT_LE(functions.front().length, 31U) << functions.front().where;
  EXPECT_LE(functions[functions.size() * 53 / 100].length, 3U) << "nearly half are very short";
  EXPECT_LE(functions[functions.size() / 10].length, 11U) << "nine of ten are shorter";
}

TEST(House, no_function_anywhere_is_longer_than_today) {
  const std::vector<Function> functions = functions_of(everything());
  EXPECT_LE(functions.front().length, 120U) << functions.front().where;
}

TEST(House, no_file_needs_a_table_of_contents) {
  for (const File& file : everything()) EXPECT_LE(file.lines.size(), 600U) << file.path;
}

// ---- where things are ----

/// The classes that are defined at the level of a namespace, by name: in which files.
std::map<std::string, std::set<std::string>> classes_by_name(const std::vector<File>& files) {
  static const std::regex definition(
      R"(^(?:class|struct)(?: \[\[[^\]]*\]\])? (\w+)(?: final)?(?: : [^;]*)?\s*\{?$)");
  std::map<std::string, std::set<std::string>> found;
  for (const File& file : files) {
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (std::regex_match(line, match, definition)) found[match[1]].insert(file.path);
    }
  }
  return found;
}

TEST(House, a_class_is_defined_in_the_file_of_its_name) {
  std::map<std::string, std::string> header_of;
  for (const File& file : library()) {
    if (file.path.ends_with(".hpp")) header_of[stem(file.path)] = file.path;
  }
  std::size_t checked = 0;
  std::size_t in_other_files = 0;  // small ones that belong to another class: Joiner to spawn.hpp
  const auto classes = classes_by_name(library());
  for (const auto& [name, files] : classes) {
    const auto own = header_of.find(snake_case(name));
    const bool elsewhere = std::ranges::none_of(files, [&name](const std::string& path) {
      return snake_case(name).starts_with(stem(path)) || stem(path).starts_with(snake_case(name)) ||
             path.ends_with(".cpp");
    });
    if (elsewhere) ++in_other_files;
    if (own == header_of.end()) continue;
    ++checked;
    EXPECT_TRUE(files.contains(own->second))
        << name << " is not in " << own->second << " but in " << *files.begin();
  }
  EXPECT_GT(checked, 30U);
  EXPECT_LE(in_other_files * 100, classes.size() * 45) << in_other_files << " of " << classes.size();
}

/// The name of the header that a source belongs to. Three classes have more than one source.
std::string source_stem(const std::string& path) {
  static const std::map<std::string, std::string> parts = {{"loop_begin", "loop"},
                                                           {"loop_end", "loop"},
                                                           {"loop_guest", "loop"},
                                                           {"loop_observed", "loop"},
                                                           {"loop_operations", "loop"},
                                                           {"system_sockets", "system"},
                                                           {"copy_file", "file"},
                                                           {"interpreter_calls", "interpreter"},
                                                           {"interpreter_end", "interpreter"},
                                                           {"interpreter_operations", "interpreter"}};
  const auto part = parts.find(stem(path));
  return part == parts.end() ? stem(path) : part->second;
}

TEST(House, a_member_is_defined_in_the_source_of_its_header) {
  static const std::regex member(R"(^(?![\s#/}]).*?\b([A-Z]\w+)::~?\w+\(.*)");
  const std::map<std::string, std::set<std::string>> classes = classes_by_name(library());
  std::size_t checked = 0;
  for (const File& file : library()) {
    if (!file.path.ends_with(".cpp")) continue;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (line.ends_with(";") || !std::regex_match(line, match, member)) continue;
      const auto found = classes.find(match[1]);
      if (found == classes.end()) continue;
      ++checked;
      EXPECT_TRUE(std::ranges::any_of(found->second,
                                      [&file](const std::string& path) {
                                        return path == file.path || stem(path) == source_stem(file.path);
                                      }))
          << file.path << ": " << line;
    }
  }
  EXPECT_GT(checked, 300U);
}

TEST(House, no_two_folders_have_a_header_of_the_same_name) {
  std::map<std::string, std::string> seen;
  for (const File& file : library()) {
    if (!file.path.ends_with(".hpp")) continue;
    const auto [first, is_new] = seen.emplace(fs::path(file.path).filename(), file.path);
    EXPECT_TRUE(is_new) << file.path << " and " << first->second;
  }
}

TEST(House, what_everybody_includes_shows_nothing_of_the_engine) {
  std::ifstream in(root / "include/corering/corering.hpp");
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    EXPECT_EQ(line.find("corering/engine/"), std::string::npos) << line;
  }
  EXPECT_GT(lines, 40U);
}

TEST(House, every_file_says_first_what_it_is_for) {
  for (const File& file : everything()) {
    ASSERT_FALSE(file.lines.empty()) << file.path;
    const std::string name = fs::path(file.path).filename();
    const std::string& first = file.lines.front();
    EXPECT_NE(first.find(name + " — "), std::string::npos) << file.path << ": " << first;
    EXPECT_EQ(first.find(" — see "), std::string::npos) << file.path;
  }
}

// ---- names ----

TEST(House, a_question_returns_an_answer) {
  static const std::regex no_answer(R"(\bvoid (is|has|may|can)_\w+\()");
  for (const File& file : everything()) {
    for (const std::string& line : file.lines) {
      if (file.path.ends_with("house_test.cpp")) continue;
      EXPECT_FALSE(std::regex_search(line, no_answer)) << file.path << ": " << line;
    }
  }
}

// ---- values ----

// A move assignment that swaps with its argument keeps the old resource for as long as the other one lives.
TEST(House, a_move_assignment_gives_the_old_value_up_at_once) {
  static const std::regex keeps(R"(\bswap\(\w+_, other\.\w+_\))");
  for (const File& file : library()) {
    for (const std::string& line : file.lines) EXPECT_FALSE(std::regex_search(line, keeps)) << file.path;
  }
}

// epoll_event is packed on x86-64: what binds a reference to its data is misaligned, as EXPECT_EQ does.
// Only a build without optimization does it, so only UBSan at -O0 sees it.
TEST(House, the_data_of_an_epoll_event_is_copied) {
  static const std::regex bound(R"((EXPECT|ASSERT)_\w+\([^"{]*\.data\.(u64|u32|fd|ptr))");
  for (const File& file : everything()) {
    for (const std::string& line : file.lines)
      EXPECT_FALSE(std::regex_search(line, bound))
          << file.path << ": " << line << ": write std::uint64_t{...}";
  }
}

// g++ 12 does not keep a temporary for as long as the loop over a part of it lasts. clang 19 does.
TEST(House, no_loop_goes_over_a_part_of_a_temporary) {
  static const std::regex part(R"(\bfor \([^;]* : [^;]*\.value\(\)\.\w+\) )");
  for (const File& file : everything()) {
    for (const std::string& line : file.lines)
      EXPECT_FALSE(std::regex_search(line, part)) << file.path << ": " << line << ": give it a name";
  }
}

// A chrono duration in a coarser unit converts to nanoseconds by itself, and then wraps around.
TEST(House, what_people_call_takes_durations_in_any_unit) {
  static const std::regex bare(R"(\b(Duration|TimePoint) [a-z_]*[a-z]( = [^,)]*)?[,)])");
  static const std::regex inner(R"(\b(SleepAwaiter|SleepOperation|Timed|HeldInterval)\()");
  std::size_t any = 0;
  for (const File& file : files_below({"include"}, {".hpp"})) {
    const std::string folder = fs::path(file.path).parent_path().filename();
    if (folder == "base" || folder == "engine" || folder == "uring") continue;
    for (const std::string& line : file.lines) {
      if (line.find("AnyDuration ") != std::string::npos) ++any;
      EXPECT_TRUE(!std::regex_search(line, bare) || std::regex_search(line, inner))
          << file.path << ": " << line;
    }
  }
  EXPECT_GT(any, 8U);
}

// ---- said twice ----

/// A line of code as it counts for repetition; nothing for comments, includes, blanks and lone punctuation.
std::string essence(const std::string& line) {
  std::string text;
  for (const char c : line.substr(0, line.find("//"))) {
    if (c != ' ') text += c;
  }
  const bool thin = std::ranges::none_of(text, [](unsigned char c) { return std::isalnum(c) != 0; });
  if (thin || text.starts_with("#") || text.starts_with("namespace") || text.starts_with("using")) return {};
  return text;
}

/// In how many places six lines stand that stand elsewhere, too.
std::size_t repeated_runs(const std::vector<File>& files) {
  constexpr std::size_t run = 6;
  std::map<std::string, std::size_t> seen;
  std::size_t repeated = 0;
  for (const File& file : files) {
    std::vector<std::string> lines;
    for (const std::string& line : file.lines) {
      if (std::string text = essence(line); !text.empty()) lines.push_back(std::move(text));
    }
    for (std::size_t i = 0; i + run <= lines.size(); ++i) {
      std::string key;
      for (std::size_t j = 0; j < run; ++j) key += lines[i + j] + '\n';
      if (++seen[key] > 1) ++repeated;
    }
  }
  return repeated;
}

TEST(House, sees_what_is_said_twice) {
  const std::vector<std::string> lines = {"a();", "b();", "c();", "// d", "e();", "f();", "g();"};
  EXPECT_EQ(repeated_runs({{"one.cpp", lines}, {"two.cpp", lines}}), 1U);
  EXPECT_EQ(repeated_runs({{"one.cpp", lines}}), 0U);
}

TEST(House, the_library_says_no_more_twice_than_today) { EXPECT_LE(repeated_runs(library()), 0U); }

// ---- facts that are asserted ----

TEST(House, has_as_many_assertions_for_its_length_as_today) {
  std::size_t lines = 0;
  std::size_t assertions = 0;
  for (const File& file : library()) {
    for (const std::string& line : file.lines) {
      if (essence(line).empty()) continue;
      ++lines;
      const bool asserts = line.find("CORERING_ASSERT(") != std::string::npos ||
                           line.find("CORERING_ASSERT_AT(") != std::string::npos ||
                           line.find("CORERING_DEBUG_ASSERT(") != std::string::npos;
      if (asserts && line.find("#define") == std::string::npos) ++assertions;
    }
  }
  EXPECT_LE(lines / assertions, 77U) << assertions << " in " << lines << " lines of code";
}

// ---- plain English ----

// Turns of phrase that a reader has to read twice. In comments of the code, and in the documents.
TEST(House, speaks_plain_english) {
  static const std::regex twice(
      R"((^|[.:;] |/// |// )Of (a|an|the|what|who|those|one)\b|\b[Ii]n vain\b|\b[Bb]ut for\b|\b[Ff]or want of\b|\b[Ff]or who is\b|\b[Ff]or whom\b|\banew\b)");
  std::vector<File> pages = files_below({"docs"}, {".md"});
  File readme{.path = "README.md", .lines = {}};
  std::ifstream in(root / "README.md");
  for (std::string line; std::getline(in, line);) readme.lines.push_back(line);
  pages.push_back(std::move(readme));
  for (const File& page : pages) {
    for (const std::string& line : page.lines)
      EXPECT_FALSE(std::regex_search(line, twice)) << page.path << ": " << line;
  }
  for (const File& file : everything()) {
    if (file.path.ends_with("house_test.cpp")) continue;
    for (const std::string& line : file.lines) {
      const std::size_t text_begins = std::min(line.find("//"), line.find('"'));  // comments and messages
      if (text_begins == std::string::npos) continue;
      const std::string text = line.substr(text_begins);
      EXPECT_FALSE(std::regex_search(text, twice)) << file.path << ": " << line;
    }
  }
}

// ---- scripts ----

// A reader that ends early kills the writer with SIGPIPE, or not, depending on who is faster. Under
// `pipefail` a test then fails now and then. See found() and first_line() in tests/tools/support.sh.
TEST(House, scripts_read_pipes_to_their_end) {
  static const std::regex ends_early(R"(\| *(grep -\w*q|head -n))");
  const std::vector<File> scripts = files_below({"tests", "scripts"}, {".sh"});
  EXPECT_GT(scripts.size(), 30U);
  for (const File& script : scripts) {
    for (const std::string& line : script.lines)
      EXPECT_FALSE(std::regex_search(line, ends_early)) << script.path << ": " << line;
  }
}

// ---- the documents are true ----

/// Every path that a page names in backquotes, as in `core/task.hpp` or `src/engine/loop.cpp`.
std::set<std::string> paths_named_in(const fs::path& page) {
  static const std::regex path(R"(`((?:include/corering/|src/|tests/)?(?:\w+/)+\w+\.(?:hpp|cpp|sh)))");
  std::set<std::string> found;
  std::ifstream in(page);
  for (std::string line; std::getline(in, line);) {
    for (std::sregex_iterator it(line.begin(), line.end(), path); it != std::sregex_iterator(); ++it)
      found.insert((*it)[1]);
  }
  return found;
}

bool exists_somewhere(const std::string& path) {
  return fs::exists(root / path) || fs::exists(root / "include/corering" / path) ||
         fs::exists(root / "src" / path);
}

TEST(House, the_documents_name_files_that_are_there) {
  std::size_t named = 0;
  for (const char* const page :
       {"docs/ARCHITECTURE.md", "docs/GLOSSARY.md", "docs/CONTRIBUTING.md", "docs/STYLE.md"}) {
    for (const std::string& path : paths_named_in(root / page)) {
      ++named;
      EXPECT_TRUE(exists_somewhere(path)) << page << " names " << path;
    }
  }
  EXPECT_GT(named, 25U);
}

/// The lines of ARCHITECTURE.md that tell the journey of a read: its numbered list.
TEST(House, a_read_passes_through_eleven_files_at_most) {
  std::ifstream in(root / "docs/ARCHITECTURE.md");
  std::set<std::string> files;
  bool inside = false;
  static const std::regex path(R"(`((?:src/)?\w+/\w+\.(?:hpp|cpp))`)");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line == "## The journey of one read";
    const bool in_the_list =
        line.starts_with("   ") || (!line.empty() && std::isdigit(static_cast<unsigned char>(line[0])) != 0);
    if (!inside || !in_the_list) continue;
    for (std::sregex_iterator it(line.begin(), line.end(), path); it != std::sregex_iterator(); ++it)
      files.insert((*it)[1]);
  }
  EXPECT_GE(files.size(), 8U) << "the journey is no longer told";
  EXPECT_LE(files.size(), 11U);
}

// ---- examples ----

// What an example uses it includes: whoever copies a part of it sees what that part needs.
TEST(House, examples_include_what_they_use) {
  const std::map<std::string, std::regex> users = {
      {"array", std::regex(R"(std::array\b)")},
      {"vector", std::regex(R"(std::vector\b)")},
      {"string", std::regex(R"(std::string\b)")},
      {"span", std::regex(R"(std::span\b)")},
      {"optional", std::regex(R"(std::optional\b)")},
      {"chrono", std::regex(R"(std::chrono)")},
      {"map", std::regex(R"(std::map\b)")},
      {"utility", std::regex(R"(std::(move|exchange)\b)")},
      {"cstdio", std::regex(R"(std::(f?printf|fputs|fwrite)\b)")}};
  for (const File& file : files_below({"examples"}, {".cpp"})) {
    for (const auto& [header, use] : users) {
      const bool used = std::ranges::any_of(file.lines, [&use = use](const std::string& line) {
        return !line.starts_with("#include") && std::regex_search(line, use);
      });
      if (!used) continue;
      EXPECT_NE(std::ranges::find(file.lines, "#include <" + header + ">"), file.lines.end())
          << file.path << ": " << header;
    }
  }
}

}  // namespace
