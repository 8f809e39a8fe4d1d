/// cat.cpp — writes files, or its standard input, to standard output. "-" is standard input.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <system_error>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

template <class Source>
Task<Result<void>> pour(const Source& from, const PipeWriter& to) {
  std::vector<std::byte> buffer(64 * 1024);
  for (;;) {
    const Result<std::size_t> got = co_await from.read(buffer);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return Result<void>();
    const Result<void> put = co_await to.write_all(std::span(buffer).first(*got));
    if (!put) co_return put;
  }
}

Task<Result<void>> pour_named(const char* name, const PipeWriter& to) {
  if (std::strcmp(name, "-") == 0) {
    const Result<PipeReader> input = standard_input();
    if (!input) co_return std::unexpected(input.error());
    co_return co_await pour(*input, to);
  }
  const Result<File> file = co_await File::open_to_read(name);
  if (!file) co_return std::unexpected(file.error());
  co_return co_await pour(*file, to);
}

Task<void> pour_all(std::span<char*> names, const PipeWriter& to, int& exit_code) {
  for (const char* const name : names) {
    const Result<void> poured = co_await pour_named(name, to);
    if (poured) continue;
    std::fprintf(stderr, "cat: %s: %s\n", name, poured.error().message().c_str());
    exit_code = 1;
    if (poured.error() == std::errc::broken_pipe) break;  // nobody reads any more
  }
}

int main(int argc, char** argv) {
  char dash[] = "-";
  std::vector<char*> names(argv + 1, argv + argc);
  if (names.empty()) names.push_back(dash);
  const Result<PipeWriter> out = standard_output();
  if (!out) return std::fprintf(stderr, "cat: standard output: %s\n", out.error().message().c_str()), 1;
  int exit_code = 0;
  const Result<void> ran = run(pour_all(names, *out, exit_code));
  return ran ? exit_code : (std::fprintf(stderr, "cat: %s\n", ran.error().message().c_str()), 1);
}
