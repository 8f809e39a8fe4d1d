/// histogram.hpp — how long something took, how often: times in buckets that are 1.6 % wide.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace corering::trace {

/// Counts numbers from 0 to 2^42 - 1 (as nanoseconds, that is more than an hour); larger ones count as the
/// largest. Numbers below 64 have a bucket each. Above, each power of two is divided into 64 buckets.
/// thread: one adds, any reads; a reader sees each count as it was at some moment
class Histogram {
 public:
  Histogram() noexcept = default;
  Histogram(const Histogram& other) noexcept { *this += other; }
  Histogram& operator=(const Histogram& other) = delete;

  void add(std::uint64_t number) noexcept { increase(counts_[bucket_of(number)], 1); }

  /// Adds the other's counts.
  /// thread: the one that adds to this one
  Histogram& operator+=(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets; ++i) increase(counts_[i], other.at(i));
    return *this;
  }

  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < buckets; ++i) all += at(i);
    return all;
  }

  /// Returns a number that `share` of all numbers (0.5, 0.99) do not exceed: the largest one of its bucket.
  /// Returns 0 if there are none.
  [[nodiscard]] std::uint64_t quantile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count()) + 0.999'999);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      seen += at(i);
      if (seen >= std::max<std::uint64_t>(wanted, 1)) return last_of(i);
    }
    return 0;
  }

  // ---- the buckets ----

  static constexpr std::size_t per_power = 64;
  static constexpr std::size_t powers = 42;
  static constexpr std::size_t buckets = per_power * (powers - 5);

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t number) noexcept {
    if (number < per_power) return number;
    const auto power = static_cast<std::size_t>(std::bit_width(number)) - 1;  // from 6
    if (power >= powers) return buckets - 1;
    return per_power * (power - 6) + (number >> (power - 6));
  }
  /// Returns the smallest and the largest number of a bucket.
  [[nodiscard]] static constexpr std::uint64_t first_of(std::size_t bucket) noexcept {
    if (bucket < per_power) return bucket;
    const std::size_t power = bucket / per_power - 1;
    return static_cast<std::uint64_t>(bucket % per_power + per_power) << power;
  }
  [[nodiscard]] static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
    return first_of(bucket + 1) - 1;
  }
  [[nodiscard]] std::uint64_t at(std::size_t bucket) const noexcept {
    return std::atomic_ref(counts_[bucket]).load(std::memory_order_relaxed);
  }

 private:
  static void increase(std::uint64_t& count, std::uint64_t by) noexcept {
    std::atomic_ref word(count);
    word.store(word.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  mutable std::array<std::uint64_t, buckets> counts_{};
};

}  // namespace corering::trace
