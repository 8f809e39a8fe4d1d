/// commands.cpp — a table of sub-commands, and their options.
#include "commands.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <corering/base/fd.hpp>
#include <corering/trace/recording.hpp>

#include "chrome.hpp"
#include "common/text.hpp"
#include "html.hpp"
#include "operation_flow.hpp"
#include "output.hpp"
#include "perfetto.hpp"
#include "render.hpp"
#include "views.hpp"
#include "why.hpp"
#include "why_foreign.hpp"

namespace iotrace {
namespace {

/// What was written after the name of the sub-command.
struct Call {
  std::string_view command;
  std::vector<std::string> words;
  Selection selection;
  std::vector<Demand> demands;
  std::string format = "text";
  std::uint64_t limit = chrome_limit;
  std::string out;  ///< a path; "-": the standard output; empty: a name made from that of the trace file
};

/// One sub-command. Its exit code for a file that cannot be read is `trouble`.
struct Command {
  std::string_view name;
  std::string_view usage;
  std::string_view about;
  std::size_t words;
  bool selects;  ///< takes the options of a selection
  int trouble;
  int (*run)(const Call&);
};

int complain(int code, const std::string& sentence) {
  std::fprintf(stderr, "iotrace: %s\n", tools::printable(sentence).c_str());
  return code;
}

int print(const std::string& text, int code = 0) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return code;
  return complain(1, std::string("standard output: ") + std::strerror(errno));
}

/// A file that cannot be read ends the command.
struct Unreadable {
  std::string sentence;
};

Trace open_trace(const std::string& path, bool keep_events = false) {
  auto recording = corering::trace::open_recording(path);
  if (recording) return make_trace(std::move(*recording), keep_events);
  const int error = recording.error().value();
  if (error == EBADMSG) throw Unreadable{path + ": is no trace file, or it is damaged"};
  if (error == EPROTONOSUPPORT) throw Unreadable{path + ": was written by a newer version of corering"};
  throw Unreadable{path + ": " + recording.error().message()};
}

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Finds the operation that a person names by its number.
const Operation& operation_of(const Trace& trace, const std::string& word) {
  std::uint64_t number = 0;
  const bool is_there = parse_number(word, number) && number >= 1 && number <= trace.operations.size();
  if (is_there) return trace.operations[number - 1];
  throw Unreadable{"there is no operation " + word + ": they have the numbers 1 to " +
                   std::to_string(trace.operations.size()) + ", see iotrace show"};
}

int run_show(const Call& call) { return print(show(open_trace(call.words[0]), call.selection)); }
int run_stat(const Call& call) { return print(stat(open_trace(call.words[0]), call.selection)); }

int run_slowest(const Call& call) {
  std::uint64_t count = 0;
  if (!parse_number(call.words[0], count) || count == 0)
    return complain(2, "slowest needs a number of operations, not '" + call.words[0] + "'");
  return print(slowest(open_trace(call.words[1]), call.selection, count));
}

int run_why(const Call& call) {
  const Trace trace = open_trace(call.words[1]);
  const Operation& operation = operation_of(trace, call.words[0]);
  const Explanation told = explain(trace, operation);
  return print(
      line_of(trace, operation, origin_of(trace)) + "\n" + told.text + "\n" + why_captured(trace, operation) +
      descent_of(trace, operation.task) + unrecorded_of(operation) + what_is_missing(trace) +
      (trace.has_kernel_lane ? "" : "Not observed: what the kernel did. " + trace.kernel_unseen + ".\n"));
}

int run_flow(const Call& call) {
  const Trace trace = open_trace(call.words[1], true);
  const auto record = flow_of(trace, operation_of(trace, call.words[0]));
  if (!record)
    return complain(
        1, "operation " + call.words[0] +
               " is neither a request to the kernel nor a wait, so it has no diagram; try iotrace why");
  if (call.format == "mermaid") return print(render_mermaid(*record));
  return print(call.format == "json" ? render_json(*record) : render_text(*record));
}

int run_check(const Call& call) {
  if (call.demands.empty()) return complain(2, "check needs a demand, as in --p99 'read<5ms'");
  const Verdict verdict = check(open_trace(call.words[0]), call.demands);
  return print(verdict.text, verdict.is_met ? 0 : 1);
}

int run_diff(const Call& call) {
  const Difference found = diff(open_trace(call.words[0]), open_trace(call.words[1]));
  return print(found.text, found.is_there ? 1 : 0);
}

/// Before a file is made.
void refuse_what_is_too_large(const Call& call, const Trace& trace) {
  if (call.command != "chrome") return;
  if (const std::string too_large = why_not_chrome(trace, call.limit); !too_large.empty())
    throw Unreadable{too_large};
}

/// Writes a view to a file and prints the file's name.
template <class Write>
int write_view(const Call& call, std::string_view ending, const Write& write) {
  const Trace trace = open_trace(call.words[0]);
  refuse_what_is_too_large(call, trace);
  if (call.out == "-") {
    Output out(STDOUT_FILENO);
    write(trace, out);
    const int error = out.finish();
    return error == 0 ? 0 : complain(1, std::string("standard output: ") + std::strerror(error));
  }
  const std::string path = call.out.empty() ? call.words[0] + std::string(ending) : call.out;
  const corering::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.is_open()) return complain(1, path + ": " + std::strerror(errno));
  Output out(file.get());
  write(trace, out);
  if (const int error = out.finish(); error != 0) return complain(1, path + ": " + std::strerror(error));
  return print(tools::printable(path) + "\n");
}

int run_perfetto(const Call& call) { return write_view(call, ".perfetto-trace", write_perfetto); }
int run_chrome(const Call& call) { return write_view(call, ".json", write_chrome); }
int run_html(const Call& call) {
  return write_view(call, ".html", [](const Trace& trace, Output& out) {
    write_html(trace, [&trace](const Operation& operation) { return explain(trace, operation).text; }, out);
  });
}

constexpr std::string_view selecting =
    "\n"
    "  --kind KIND,...     only these: read, recv, hop, mutex and so on, as shown\n"
    "  --fd N              only those on this descriptor\n"
    "  --worker N          only those of this worker\n"
    "  --task TEXT         only those of a task, or awaited in a function or a file, with this in its name\n"
    "  --slower-than TIME  only those that took longer: 40us, 5ms, 1s\n"
    "  --failed            only those that failed\n"
    "  --captured          only those that were captured, because they were slow or failed\n"
    "  --from TIME, --to TIME  only those between, counted from the first one\n";

constexpr std::array commands = {
    Command{"show", "FILE", "prints a line for each operation", 1, true, 1, run_show},
    Command{"stat", "FILE", "prints how long the stages of each kind of operation took", 1, true, 1,
            run_stat},
    Command{"slowest", "N FILE", "prints the N slowest operations, and why they were", 2, true, 1,
            run_slowest},
    Command{"why", "ID FILE", "tells why an operation took as long as it did", 2, false, 1, run_why},
    Command{"flow", "ID FILE [--format text|mermaid|json]", "draws an operation as a sequence diagram", 2,
            false, 1, run_flow},
    Command{"html", "FILE [-o OUT]", "writes a page that any browser opens", 1, false, 1, run_html},
    Command{"perfetto", "FILE [-o OUT]", "writes a trace for https://ui.perfetto.dev", 1, false, 1,
            run_perfetto},
    Command{"chrome", "FILE [-o OUT] [--limit EVENTS]",
            "writes a trace for chrome://tracing, of at most a million events", 1, false, 1, run_chrome},
    Command{"check", "FILE --p50|--p90|--p99|--max 'KIND<TIME'...",
            "fails if an operation of this kind took longer; --p99 'read<5ms'", 1, false, 2, run_check},
    Command{"diff", "FILE FILE", "tells what got slower or faster; fails if something did", 2, false, 2,
            run_diff}};

std::string help_of(const Command& command) {
  return "usage: iotrace " + std::string(command.name) + " " + std::string(command.usage) +
         (command.selects ? " [OPTION]..." : "") + "\n\n" + std::string(command.name) + " " +
         std::string(command.about) + ".\n" + (command.selects ? std::string(selecting) : "");
}

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) parts.emplace_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

/// Takes a time. Returns a sentence that says what is wrong, or nothing.
std::string take_time(std::string_view option, std::string_view value, Ns& time) {
  const auto parsed = parse_duration(value);
  if (!parsed)
    return std::string(option) + " is a time, as in 40us, 5ms or 1s, not '" + std::string(value) + "'";
  time = *parsed;
  return "";
}

template <class Number>
std::string take_number(std::string_view option, std::string_view value, std::optional<Number>& into) {
  std::uint64_t number = 0;
  if (!parse_number(value, number) || number > INT32_MAX)
    return std::string(option) + " is a number, not '" + std::string(value) + "'";
  into = static_cast<Number>(number);
  return "";
}

std::string take_selecting(std::string_view option, std::string_view value, Selection& selection) {
  if (option == "--kind") return selection.kinds = parts_of(value), "";
  if (option == "--task") return selection.task = value, "";
  if (option == "--fd") return take_number(option, value, selection.fd);
  if (option == "--worker") return take_number(option, value, selection.worker);
  if (option == "--slower-than") return take_time(option, value, selection.slower_than);
  if (option == "--from") return take_time(option, value, selection.from);
  return take_time(option, value, selection.to);
}

bool is_any_of(std::string_view option, std::initializer_list<std::string_view> of) {
  return std::ranges::find(of, option) != of.end();
}

bool takes(const Command& command, std::string_view option) {
  if (command.selects &&
      is_any_of(option, {"--kind", "--task", "--fd", "--worker", "--slower-than", "--from", "--to"}))
    return true;
  if (command.name == "check") return is_any_of(option, {"--p50", "--p90", "--p99", "--max"});
  if (command.name == "chrome" && option == "--limit") return true;
  if (is_any_of(command.name, {"html", "perfetto", "chrome"})) return option == "-o";
  return command.name == "flow" && option == "--format";
}

std::string take_option(std::string_view option, std::string_view value, Call& call) {
  if (is_any_of(option, {"--p50", "--p90", "--p99", "--max"})) {
    auto demand = parse_demand(option.substr(2), value);
    if (!demand) return demand.error();
    call.demands.push_back(std::move(*demand));
    return "";
  }
  if (option == "--limit") {
    if (parse_number(value, call.limit) && call.limit > 0) return "";
    return "--limit is a number of events, not '" + std::string(value) + "'";
  }
  if (option == "-o") {
    call.out = value;
    return value.empty() ? "-o needs the name of a file, or -" : "";
  }
  if (option != "--format") return take_selecting(option, value, call.selection);
  if (!is_any_of(value, {"text", "mermaid", "json"}))
    return "--format is text, mermaid or json, not '" + std::string(value) + "'";
  call.format = value;
  return "";
}

std::string parse(const Command& command, std::span<const std::string_view> arguments, Call& call) {
  bool only_words = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view option = arguments[i];
    if (only_words || !option.starts_with('-') || option == "-") {
      call.words.emplace_back(option);
      continue;
    }
    if (option == "--") {
      only_words = true;
      continue;
    }
    if (command.selects && (option == "--failed" || option == "--captured")) {
      (option == "--failed" ? call.selection.failed : call.selection.kept) = true;
      continue;
    }
    const std::size_t equals = option.find('=');
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) {
      value = option.substr(equals + 1);
      option = option.substr(0, equals);
    }
    if (!takes(command, option))
      return "unknown option '" + std::string(option) + "'; see iotrace " + std::string(command.name) +
             " --help";
    if (!value && i + 1 == arguments.size()) return std::string(option) + " needs a value";
    if (!value) value = arguments[++i];
    if (std::string wrong = take_option(option, *value, call); !wrong.empty()) return wrong;
  }
  if (call.words.size() == command.words) return "";
  return "usage: iotrace " + std::string(command.name) + " " + std::string(command.usage);
}

bool asks_for_help(std::span<const std::string_view> arguments) {
  const auto end = std::ranges::find(arguments, "--");
  return std::any_of(arguments.begin(), end,
                     [](std::string_view one) { return one == "--help" || one == "-h"; });
}

const Command* find_command(std::span<const std::string_view> arguments) {
  if (arguments.empty()) return nullptr;
  const auto* const found = std::ranges::find(commands, arguments[0], &Command::name);
  if (found == commands.end()) return nullptr;
  // `iotrace flow switch FILE` makes a recording of its own.
  const bool is_live =
      found->name == "flow" && (arguments.size() < 2 || arguments[1].empty() ||
                                std::isdigit(static_cast<unsigned char>(arguments[1][0])) == 0);
  return is_live ? nullptr : found;
}

}  // namespace

std::optional<int> run_command(std::span<const std::string_view> arguments) {
  const Command* const command = find_command(arguments);
  if (command == nullptr) return std::nullopt;
  const auto rest = arguments.subspan(1);
  if (asks_for_help(rest)) return print(help_of(*command));
  Call call{.command = command->name};
  if (const std::string wrong = parse(*command, rest, call); !wrong.empty()) return complain(2, wrong);
  try {
    return command->run(call);
  } catch (const Unreadable& unreadable) {
    return complain(command->trouble, unreadable.sentence);
  }
}

std::string_view commands_help() noexcept {
  static const std::string text = [] {
    std::string lines =
        "\nA program is watched while it runs, also one without corering, with:\n"
        "  iotrace record   starts a program, and records what the kernel does for it\n"
        "  iotrace attach   records a process that runs\n"
        "  iotrace top      shows what the workers of a process do, once a second\n"
        "  iotrace doctor   tells what can be seen on this machine\n"
        "\nA program that has recorded itself (CORERING_TRACE=full,file=FILE) is looked at with:\n";
    for (const Command& command : commands)
      lines += "  iotrace " + std::string(command.name) + std::string(9 - command.name.size(), ' ') +
               std::string(command.about) + "\n";
    return lines;
  }();
  return text;
}

}  // namespace iotrace
