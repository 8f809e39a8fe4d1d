/// write_views.cpp — writes a made-up trace as every view, and what each of them must contain.
///
///   write_views OPERATIONS WORKERS DIRECTORY [VIEW...]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <corering/base/fd.hpp>

#include "iotrace/chrome.hpp"
#include "iotrace/html.hpp"
#include "iotrace/perfetto.hpp"
#include "iotrace/slices.hpp"
#include "trace/made_up_trace.hpp"

namespace iotrace {
namespace {

/// A line for each operation: its number, name, begin and end, and then its stages with theirs.
void write_expected(const Trace& trace, Output& out) {
  const Extent extent = extent_of(trace);
  const auto add = [&out](std::string_view name, Ns begin, Ns end) {
    out.add(" " + std::string(name) + " " + std::to_string(begin) + " " + std::to_string(end));
  };
  for (const Operation& operation : trace.operations) {
    out.add(std::to_string(operation.number));
    add(name_of_operation(operation), operation.begin(), drawn_end(operation, extent));
    const Slices slices(operation);
    for (const Slice& slice : slices.all())
      add(stage_names[static_cast<std::size_t>(slice.stage)], slice.begin, slice.end);
    out.add("\n");
  }
}

/// The words of `why` are a view of its own, and not tested here.
void write_page(const Trace& trace, Output& out) {
  write_html(
      trace, [](const Operation& one) { return one.number % 2 == 0 ? "A planted </script> reason." : ""; },
      out);
}

using View = void (*)(const Trace&, Output&);

int write_one(const Trace& trace, const std::string& file, View view) {
  const corering::Fd to(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  Output out(to.get());
  view(trace, out);
  return out.finish();
}

int write_all(const Trace& trace, const std::string& directory, const std::vector<std::string_view>& wanted) {
  const std::vector<std::pair<std::string, View>> views = {{"expected", write_expected},
                                                           {"perfetto", write_perfetto},
                                                           {"chrome", write_chrome},
                                                           {"page.html", write_page}};
  for (const auto& [name, view] : views) {
    if (!wanted.empty() && std::ranges::find(wanted, name) == wanted.end()) continue;
    if (write_one(trace, directory + "/" + name, view) != 0) return std::perror(name.c_str()), 1;
  }
  return 0;
}

}  // namespace
}  // namespace iotrace

int main(int argc, char** argv) {
  if (argc < 4) return std::fputs("usage: write_views OPERATIONS WORKERS DIRECTORY [VIEW...]\n", stderr), 2;
  const iotrace::Trace trace =
      iotrace::made_up_trace({.operations = std::strtoull(argv[1], nullptr, 10),
                              .workers = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10))});
  return iotrace::write_all(trace, argv[3], {argv + 4, argv + argc});
}
