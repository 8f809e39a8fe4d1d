/// html.cpp — packs a trace into the page. tools/iotrace/page/decode.js unpacks it, and must agree.
///
/// The data are variable-length numbers (seven bits a byte, the lowest first), as base64. What repeats is
/// numbered when it comes first, and is spelt out there: a number that is as large as the list is new.
#include "html.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/text.hpp"
#include "diagrams.hpp"
#include "flow.hpp"
#include "page_files.hpp"
#include "slices.hpp"

namespace iotrace {
namespace {

constexpr std::size_t moments = static_cast<std::size_t>(At::count_);

/// Returns JSON that may stand inside a script element: nothing in it ends the element.
std::string json(std::string_view text) {
  std::string safe;
  for (const char c : tools::json_string(text)) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

/// Writes bytes as base64 while they come.
class Base64 {
 public:
  explicit Base64(Output& out) : out_(out) {}

  void add(std::string_view bytes) {
    rest_ += bytes;
    const std::size_t whole = rest_.size() / 3 * 3;
    encode(whole);
    rest_.erase(0, whole);
  }

  void finish() {
    const std::size_t missing = (3 - rest_.size() % 3) % 3;
    rest_.append(missing, '\0');
    encode(rest_.size());
  }

 private:
  void encode(std::size_t size) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < size; i += 3) {
      const std::uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
      for (const std::uint32_t shift : {18U, 12U, 6U, 0U}) text += digits[bits >> shift & 63];
    }
    out_.add(text);
  }
  [[nodiscard]] std::uint32_t byte(std::size_t i) const { return static_cast<unsigned char>(rest_[i]); }

  Output& out_;
  std::string rest_;
};

/// Numbers in as few bytes as they need.
class Packed {
 public:
  Packed& add(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  /// A number that may be negative: its sign is the lowest bit.
  Packed& add_signed(std::int64_t value) {
    return add(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  void clear() { bytes_.clear(); }

 private:
  std::string bytes_;
};

/// Numbers values in the order in which they come.
template <class Map>
class Numbered {
 public:
  /// Returns the number, and whether it is new.
  template <class Key>
  std::pair<std::uint64_t, bool> operator()(const Key& key) {
    const auto [found, is_new] = numbers_.try_emplace(key, numbers_.size());
    return {found->second, is_new};
  }

 private:
  Map numbers_;
};

/// What many operations have in common.
using Shape = std::array<std::uint64_t, 10>;
/// Descriptor and length.
using Target = std::pair<std::int32_t, std::uint32_t>;

class Writer {
 public:
  Writer(const Trace& trace, const Explain& why, Output& out)
      : trace_(trace), why_(why), out_(out), extent_(extent_of(trace)), base64_(out) {}

  void write() {
    out_.add(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>iotrace: ");
    out_.add(html_escaped(trace_.recording.program));
    out_.add("</title>\n<style>\n");
    add_all(page_style);
    out_.add("</style>\n</head>\n<body>\n");
    add_all(page_body);
    out_.add("<script type=\"text/plain\" id=\"data\">");
    write_data();
    // The head comes after the data, because names get their numbers while these are written.
    out_.add("</script>\n<script type=\"application/json\" id=\"head\">");
    write_head();
    out_.add("</script>\n<script>\n");
    add_all(page_script);
    out_.add("</script>\n</body>\n</html>\n");
  }

 private:
  void add_all(std::span<const std::string_view> parts) {
    for (const std::string_view part : parts) out_.add(part);
  }

  static std::string html_escaped(std::string_view text) {
    std::string safe;
    for (const char c : tools::printable(text)) {
      if (c == '<') {
        safe += "&lt;";
      } else if (c == '&') {
        safe += "&amp;";
      } else {
        safe += c;
      }
    }
    return safe;
  }

  // ---- operations and spans ----

  void write_data() {
    Ns previous = extent_.begin;
    for (const Operation& operation : trace_.operations) {
      packed_.add_signed(operation.begin() - previous);
      previous = operation.begin();
      pack_operation(operation);
      write_packed();
    }
    for (const std::vector<Span>& spans : trace_.spans) write_spans(spans);
    for (const auto& marks : trace_.marks) write_marks(marks);
    base64_.finish();
  }

  void write_packed() {
    base64_.add(packed_.bytes());
    packed_.clear();
  }

  void pack_operation(const Operation& operation) {
    pack_shape(operation);
    const std::uint64_t target = pack_target(operation);
    pack_task(operation.task);
    if (operation.joined != 0) pack_task(operation.joined);
    if (has_offset(operation)) {
      std::uint64_t& expected = expected_offset_[target];
      packed_.add_signed(static_cast<std::int64_t>(operation.offset - expected));
      expected = operation.offset + operation.length;
    }
    if (operation.has_ended) pack_result(operation);
    Ns previous = operation.begin();
    for (const Ns at : operation.at) {
      if (at == unseen) continue;
      packed_.add_signed(at - previous);
      previous = at;
    }
  }

  static bool has_offset(const Operation& operation) {
    return operation.offset != 0 && operation.offset != UINT64_MAX;
  }

  void pack_shape(const Operation& operation) {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < moments; ++i) seen |= (operation.at[i] != unseen ? 1ULL : 0ULL) << i;
    const std::uint64_t flags = (operation.has_ended ? 1U : 0U) | (operation.was_woken_for ? 2U : 0U) |
                                (has_offset(operation) ? 4U : 0U) | (operation.joined != 0 ? 8U : 0U);
    const Shape shape = {kind_of(operation),
                         operation.sqe_flags,
                         thread_number(operation.thread),
                         thread_number(operation.caller),
                         place_number(operation.place),
                         seen,
                         flags,
                         operation.cqe_flags,
                         operation.completions,
                         operation.opcode};
    const auto [number, is_new] = shapes_(shape);
    packed_.add(number);
    if (!is_new) return;
    for (const std::uint64_t part : shape) packed_.add(part);
  }

  std::uint64_t pack_target(const Operation& operation) {
    const auto [number, is_new] = targets_(Target{operation.fd, operation.length});
    packed_.add(number);
    if (is_new) packed_.add_signed(operation.fd).add(operation.length);
    if (is_new) expected_offset_.push_back(0);
    return number;
  }

  /// A new task is followed by the number that people know it by, that of its name, doubled, and if that is
  /// odd by the task that spawned it. Of these there may be hundreds of thousands, each spawned by the next.
  void pack_task(std::uint64_t task) {
    for (std::uint64_t next = task; pack_one_task(next);) {
    }
  }
  /// Returns whether the task that spawned it must follow. Then that is `task`.
  bool pack_one_task(std::uint64_t& task) {
    const auto [number, is_new] = tasks_(task);
    packed_.add(number);
    if (!is_new) return false;
    const TaskLife* const life = trace_.task(task);
    const std::uint64_t parent = life != nullptr ? life->parent : 0;
    const std::uint64_t name = life != nullptr ? task_name_number(trace_.name_of_place(life->place)) : 0;
    packed_.add(Trace::number_of_task(task)).add(name * 2 + (parent != 0 ? 1 : 0));
    task = parent;
    return parent != 0;
  }
  /// From 1, because 0 stands for none.
  std::uint64_t task_name_number(const std::string& name) {
    const auto [number, is_new] = task_name_numbers_(name);
    if (is_new) task_names_.push_back(name);
    return number + 1;
  }

  void pack_result(const Operation& operation) {
    const auto length = static_cast<std::int64_t>(operation.length);
    packed_.add_signed(operation.result - length);
  }

  /// The number of a thread from 1, because 0 stands for none.
  [[nodiscard]] std::uint64_t thread_number(std::uint32_t thread) const {
    return thread < trace_.recording.threads.size() ? thread + 1 : 0;
  }
  std::uint64_t place_number(std::uint64_t place) {
    const auto [number, is_new] = places_(place);
    if (is_new) place_names_.push_back(trace_.name_of_place(place));
    return number;
  }
  std::uint64_t kind_of(const Operation& operation) {
    const std::string name(name_of_operation(operation));
    const auto [number, is_new] = kinds_(name);
    if (is_new) kind_names_.push_back(name);
    return number;
  }

  void write_spans(const std::vector<Span>& spans) {
    Ns previous = extent_.begin;
    for (const Span& span : spans) {
      const auto what = static_cast<std::uint64_t>(span.what);
      packed_.add_signed(span.begin - previous);
      packed_.add(static_cast<std::uint64_t>(span.end - span.begin) << 2 | what);
      previous = span.end;
      if (span.what != Span::What::run) continue;
      pack_task(span.task);
      packed_.add(place_number(span.place));
    }
    write_packed();
  }

  static bool is_drawn(const corering::trace::TimedEvent& mark) {
    return mark.kind == corering::trace::Kind::remark && mark.b != 0;
  }
  /// The program's own.
  void write_marks(const std::vector<corering::trace::TimedEvent>& marks) {
    Ns previous = extent_.begin;
    for (const auto& mark : marks) {
      if (!is_drawn(mark)) continue;
      packed_.add_signed(mark.ns - previous).add(place_number(mark.b)).add(mark.a);
      previous = mark.ns;
    }
    write_packed();
  }
  [[nodiscard]] std::size_t marks_of(std::uint32_t thread) const {
    return static_cast<std::size_t>(std::ranges::count_if(trace_.marks_of(thread), is_drawn));
  }

  // ---- the head ----

  void write_head() {
    const auto& recording = trace_.recording;
    out_.add("{\"program\": " + json(tools::printable(recording.program)) +
             ", \"pid\": " + std::to_string(recording.pid) +
             ", \"startedUnixMs\": " + std::to_string(recording.started_unix / 1'000'000) +
             ", \"base\": " + std::to_string(extent_.begin - recording.started_ns) +
             ", \"length\": " + std::to_string(extent_.end - extent_.begin) +
             ", \"kernel\": " + json(recording.kernel) + ", \"lost\": " + std::to_string(trace_.lost) +
             ", \"incomplete\": " + json(recording.incomplete) +
             ", \"kernelUnseen\": " + json(trace_.has_kernel_lane ? "" : trace_.kernel_unseen) +
             ", \"hasKernelLane\": " + (trace_.has_kernel_lane ? "true" : "false") +
             ", \"tasks\": " + std::to_string(trace_.tasks.size()) +
             ", \"operations\": " + std::to_string(trace_.operations.size()));
    write_threads();
    write_list("kinds", kind_names_);
    write_list("places", place_names_);
    write_list("taskNames", task_names_);
    write_list("moments", moment_names);
    write_stages();
    out_.add(", \"flows\": {\"switch\": " + flow(Flow::switch_to_worker) +
             ", \"callback\": " + flow(Flow::worker_callback) + "}, \"why\": {");
    write_explanations();
    out_.add("}}");
  }

  /// The same table by which the other views are drawn: names, and moments by their numbers.
  void write_stages() {
    const char* separator = ", \"stages\": [";
    for (const Between& row : stages_of_life()) {
      out_.add(separator + ("[" + json(stage_names[static_cast<std::size_t>(row.stage)])));
      for (const At moment : {row.begin, row.or_begin, row.end, row.or_end})
        out_.add(", " + std::to_string(static_cast<int>(moment)));
      out_.add("]");
      separator = ", ";
    }
    out_.add("]");
  }

  void write_threads() {
    const char* separator = ", \"threads\": [";
    for (std::uint32_t i = 0; i < trace_.recording.threads.size(); ++i) {
      const std::size_t spans = i < trace_.spans.size() ? trace_.spans[i].size() : 0;
      const auto name = name_of_thread(trace_, i);
      out_.add(separator + std::string("{\"name\": ") + json(tools::printable(name)) +
               ", \"spans\": " + std::to_string(spans) + ", \"marks\": " + std::to_string(marks_of(i)) + "}");
      separator = ", ";
    }
    out_.add(trace_.recording.threads.empty() ? ", \"threads\": []" : "]");
  }

  template <class Names>
  void write_list(const char* name, const Names& names) {
    out_.add(std::string(", \"") + name + "\": [");
    const char* separator = "";
    for (const auto& one : names) {
      out_.add(separator + json(tools::printable(one)));
      separator = ", ";
    }
    out_.add("]");
  }

  /// A flow as it is drawn, in the words of the table of diagrams.cpp: its participants and its lines.
  [[nodiscard]] std::string flow(Flow which) const {
    std::string text = "{\"actors\": [";
    const char* separator = "";
    for (const Actor actor : actors_of(which)) {
      text += separator + ("[" + std::to_string(static_cast<int>(actor)) + ", ") +
              json(name_of(which, actor,
                           trace_.recording.kernel.empty() ? "io_uring" : trace_.recording.kernel)) +
              "]";
      separator = ", ";
    }
    text += "], \"lines\": [";
    separator = "";
    for (const Line& line : lines_of(which, false)) {
      text += separator + this->line(line);
      separator = ", ";
    }
    return text + "]}";
  }
  /// The number of the moment that it shows; -1: none.
  [[nodiscard]] static int moment_of(const Line& line) {
    const auto moment = moment_of_life(line.moment);
    return moment ? static_cast<int>(*moment) : -1;
  }
  [[nodiscard]] static std::string line(const Line& line) {
    return "[" + json(line.step) + ", " + std::to_string(static_cast<int>(line.from)) + ", " +
           std::to_string(static_cast<int>(line.to)) + ", " + std::to_string(static_cast<int>(line.shape)) +
           ", " + std::to_string(static_cast<int>(line.bar)) + ", " + json(line.text) + ", " +
           std::to_string(moment_of(line)) + "]";
  }

  void write_explanations() {
    if (!why_) return;
    const char* separator = "";
    for (const Operation* const operation : worth_explaining()) {
      const std::string text = why_(*operation);
      if (text.empty()) continue;
      out_.add(separator + ("\"" + std::to_string(operation->number) + "\": ") +
               json(tools::printable(text)));
      separator = ", ";
    }
  }

  /// The slowest ones.
  [[nodiscard]] std::vector<const Operation*> worth_explaining() const {
    std::vector<const Operation*> all;
    all.reserve(trace_.operations.size());
    for (const Operation& operation : trace_.operations) all.push_back(&operation);
    const auto length = [this](const Operation* one) { return drawn_end(*one, extent_) - one->begin(); };
    const std::size_t most = std::min(all.size(), explained_operations);
    std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(most), std::greater(), length);
    all.resize(most);
    return all;
  }

  const Trace& trace_;
  const Explain& why_;
  Output& out_;
  Extent extent_;
  Base64 base64_;
  Packed packed_;
  Numbered<std::map<Shape, std::uint64_t>> shapes_;
  Numbered<std::map<Target, std::uint64_t>> targets_;
  Numbered<std::unordered_map<std::uint64_t, std::uint64_t>> tasks_;
  Numbered<std::unordered_map<std::uint64_t, std::uint64_t>> places_;
  Numbered<std::map<std::string, std::uint64_t>> kinds_;
  std::vector<std::uint64_t> expected_offset_;  ///< by target
  std::vector<std::string> place_names_;
  std::vector<std::string> kind_names_;
  Numbered<std::map<std::string, std::uint64_t>> task_name_numbers_;
  std::vector<std::string> task_names_;
};

}  // namespace

void write_html(const Trace& trace, const Explain& why, Output& out) { Writer(trace, why, out).write(); }

}  // namespace iotrace
