/// selection.cpp — choosing operations.
#include "selection.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

namespace iotrace {
namespace {

bool is_of_task(const Selection& selection, const Trace& trace, const Operation& operation) {
  if (selection.task.starts_with("0x")) {
    std::uint64_t address = 0;
    std::from_chars(selection.task.data() + 2, selection.task.data() + selection.task.size(), address, 16);
    const TaskLife* const life = trace.task(operation.task);
    return (life != nullptr ? life->address : operation.task) == address;
  }
  return trace.name_of_place(operation.place).find(selection.task) != std::string::npos ||
         trace.given_name(operation.task).find(selection.task) != std::string::npos;
}

bool is_in_time(const Selection& selection, const Trace& trace, const Operation& operation) {
  if (selection.from == INT64_MIN && selection.to == INT64_MAX) return true;
  const Ns origin = origin_of(trace);
  const Ns begin = operation.begin() - origin;
  const Ns end = operation.end() - origin;
  return end >= selection.from && begin <= selection.to;
}

bool is_of_kind(const Selection& selection, const Operation& operation) {
  return selection.kinds.empty() ||
         std::ranges::find(selection.kinds, name_of_operation(operation)) != selection.kinds.end();
}

}  // namespace

bool is_selected(const Selection& selection, const Trace& trace, const Operation& operation) {
  if (!is_of_kind(selection, operation)) return false;
  if (selection.fd && *selection.fd != operation.fd) return false;
  if (selection.worker && *selection.worker != operation.thread) return false;
  if (selection.failed && operation.result >= 0) return false;
  if (selection.kept && !operation.was_kept) return false;
  if (selection.slower_than > 0 && operation.end() - operation.begin() <= selection.slower_than) return false;
  if (!selection.task.empty() && !is_of_task(selection, trace, operation)) return false;
  return is_in_time(selection, trace, operation);
}

// Operations are in the order in which they began.
Ns origin_of(const Trace& trace) { return trace.operations.empty() ? 0 : trace.operations.front().begin(); }

std::optional<Ns> parse_duration(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || !std::isfinite(value)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  static constexpr std::array<std::pair<std::string_view, double>, 5> units = {
      {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
  for (const auto& [name, factor] : units) {
    if (unit == name && value * factor < 9e18) return static_cast<Ns>(std::llround(value * factor));
  }
  return std::nullopt;
}

std::string name_of_error(int error) {
  const char* const name = ::strerrorname_np(error);
  return name != nullptr ? name : "error " + std::to_string(error);
}

}  // namespace iotrace
