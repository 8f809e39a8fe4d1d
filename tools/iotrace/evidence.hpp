/// evidence.hpp — questions about what a worker did in a stretch of time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "operations.hpp"

namespace iotrace {

/// From one moment to another.
struct Stretch {
  Ns from = 0;
  Ns to = 0;
  [[nodiscard]] Ns length() const noexcept { return to - from; }
  [[nodiscard]] Ns common(Ns begin, Ns end) const noexcept;
};

/// Answers from what was recorded of one thread.
class Evidence {
 public:
  Evidence(const Trace& trace, std::uint32_t thread) noexcept : trace_(trace), thread_(thread) {}

  /// The spans that lie in the stretch, or partly.
  [[nodiscard]] std::span<const Span> spans_in(Stretch stretch) const;
  /// Returns how much of the stretch the worker spent with `what`.
  [[nodiscard]] Ns spent(Span::What what, Stretch stretch) const;
  /// Returns the run that covers most of the stretch, but not one of `own_task`.
  [[nodiscard]] std::optional<Span> longest_run(Stretch stretch, std::uint64_t own_task) const;
  /// Returns how many different runs there are in the stretch.
  [[nodiscard]] std::size_t runs(Stretch stretch) const;
  /// Returns the first such mark in the stretch, or null.
  [[nodiscard]] const corering::trace::TimedEvent* mark(corering::trace::Kind kind, Stretch stretch) const;

  /// How the thread came to lose time in a stretch, besides sleeping in the kernel on purpose.
  struct LostTime {
    Ns blocked = 0;              ///< in system calls that blocked
    Ns without_a_processor = 0;  ///< while other threads had it
  };
  /// Returns nothing if it was not recorded.
  [[nodiscard]] std::optional<LostTime> lost_time(Stretch stretch) const;

  [[nodiscard]] bool has_loop() const noexcept;
  [[nodiscard]] std::string name() const;

 private:
  [[nodiscard]] std::span<const corering::trace::TimedEvent> marks() const noexcept;
  [[nodiscard]] std::optional<LostTime> lost_by_switches(Stretch stretch) const;
  [[nodiscard]] std::optional<LostTime> lost_by_readings(Stretch stretch) const;

  const Trace& trace_;
  std::uint32_t thread_;
};

}  // namespace iotrace
