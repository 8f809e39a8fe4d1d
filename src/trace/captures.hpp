/// captures.hpp — keeps what a thread recorded around something slow, where newer events do not replace it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <corering/trace/recorder.hpp>

#include "trace/thread_ring.hpp"

namespace corering::trace {

/// Copies from a ring to a store, which is a ring, too. Each capture begins there with a `kept`: its `a` is
/// the number of the event that follows in the ring from which it came. No event is copied twice. thread: the
/// one that writes to the ring
class Captures {
 public:
  explicit Captures(ThreadRing store) noexcept : store_(std::move(store)) {
    store_.set_what_it_holds(layout::Holds::kept);
  }

  /// Starts for the thread that has this number now.
  void give_to(std::uint64_t number) noexcept;

  /// Remembers this until keep(), one for each reason, or counts it as suppressed.
  void notice(const Noticed& noticed, ThreadRing& ring) noexcept;
  void keep(ThreadRing& ring) noexcept;
  /// Keeps only what was noticed for this reason. The others are not over yet; what they need is kept, too.
  void keep(KeptFor why, ThreadRing& ring) noexcept;

 private:
  [[nodiscard]] bool is_soon_after(const Noticed& noticed) const noexcept;
  /// Returns null if nothing was noticed.
  [[nodiscard]] const Noticed* earliest() const noexcept;
  void keep(const Noticed& noticed, std::uint64_t since, ThreadRing& ring) noexcept;
  void copy(const Noticed& noticed, const ThreadRing& ring, std::uint64_t from, std::uint64_t to,
            bool goes_on) noexcept;

  ThreadRing store_;
  static constexpr std::size_t reasons = static_cast<std::size_t>(KeptFor::count_);

  std::array<std::optional<Noticed>, reasons> noticed_;
  std::uint64_t kept_until_ = 0;
  /// When something was noticed for each reason; 0: never.
  std::array<std::uint64_t, reasons> last_{};
};

}  // namespace corering::trace
