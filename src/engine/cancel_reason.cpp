/// cancel_reason.cpp — how "250 ms, set at server.cpp:42" fits into an int.
#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include <corering/base/spin_lock.hpp>
#include <corering/engine/cancel_reason.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

// From the highest bit: which place (9 bits), which unit (3 bits), how many of that unit (19 bits).
constexpr int amount_bits = 19;
constexpr int unit_bits = 3;
constexpr unsigned amount_mask = (1U << amount_bits) - 1;
constexpr unsigned unit_mask = (1U << unit_bits) - 1;
constexpr std::size_t place_count = 511;  // number 0 stands for a place for which there was no room

struct Unit {
  std::int64_t nanoseconds;
  const char* name;
};
constexpr std::array<Unit, 5> units = {
    {{1, " ns"}, {1'000, " us"}, {1'000'000, " ms"}, {1'000'000'000, " s"}, {3'600'000'000'000, " h"}}};

/// The places where the deadlines were set that have passed. It grows by one for each such place in the
/// source, and never shrinks.
class Places {
 public:
  unsigned number_of(const std::source_location& where) noexcept {
    const std::lock_guard lock(lock_);
    for (unsigned i = 0; i < used_; ++i) {
      if (places_[i].line() == where.line() && places_[i].column() == where.column() &&
          std::strcmp(places_[i].file_name(), where.file_name()) == 0) {
        return i + 1;
      }
    }
    if (used_ == places_.size()) return 0;
    places_[used_] = where;
    return ++used_;
  }

  std::source_location place(unsigned number) noexcept {
    const std::lock_guard lock(lock_);
    return number == 0 || number > used_ ? std::source_location() : places_[number - 1];
  }

  std::string name(unsigned number) noexcept {
    const std::lock_guard lock(lock_);
    if (number == 0 || number > used_) return "a place that was not remembered";
    const std::source_location& where = places_[number - 1];
    return std::string(where.file_name()) + ":" + std::to_string(where.line());
  }

 private:
  SpinLock lock_;
  unsigned used_ = 0;
  std::array<std::source_location, place_count> places_;
};

Places& places() noexcept {
  static constinit Immortal<Places> instance;
  return instance.object;
}

/// Packs the duration in the largest unit that expresses it exactly. If there is none, it uses the smallest
/// unit in which the duration fits, and rounds up.
unsigned pack(Duration asked_for) noexcept {
  const std::int64_t ns = asked_for.count() < 0 ? 0 : asked_for.count();
  unsigned packed = (units.size() - 1) << amount_bits | amount_mask;
  for (unsigned unit = units.size(); unit-- > 0;) {
    const std::int64_t amount = ns / units[unit].nanoseconds;
    const bool exact = ns % units[unit].nanoseconds == 0;
    if (amount + 1 > amount_mask) break;
    packed = unit << amount_bits | static_cast<unsigned>(exact ? amount : amount + 1);
    if (exact) break;
  }
  return packed;
}

class DeadlineCategory final : public std::error_category {
 public:
  constexpr DeadlineCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.deadline"; }

  std::string message(int value) const override {
    const auto packed = static_cast<unsigned>(value);
    const unsigned amount = packed & amount_mask;
    const Unit& unit = units[packed >> amount_bits & unit_mask];
    const std::string length = amount == 0 ? "" : " of " + std::to_string(amount) + unit.name;
    return "the deadline" + length + " set at " + places().name(packed >> (amount_bits + unit_bits)) +
           " has passed";
  }

  std::error_condition default_error_condition(int) const noexcept override { return std::errc::timed_out; }
};

}  // namespace

const std::error_category& deadline_category() noexcept {
  static constinit Immortal<DeadlineCategory> category;
  return category.object;
}

CancelReason CancelReason::deadline(Duration asked_for, std::source_location where) noexcept {
  const unsigned place = places().number_of(where);
  const unsigned packed = place << (amount_bits + unit_bits) | pack(asked_for);
  // The value is never 0, which means "not cancelled". It cannot be -1, because it has only 31 bits.
  return CancelReason(packed == 0 ? 1 : static_cast<int>(packed));
}

std::source_location CancelReason::where_set() const noexcept {
  return value_ > 0 ? places().place(static_cast<unsigned>(value_) >> (amount_bits + unit_bits))
                    : std::source_location();
}

std::error_code CancelReason::error() const noexcept {
  if (value_ == 0) return {};
  if (value_ == asked().value_) return {ECANCELED, std::system_category()};
  return {value_, deadline_category()};
}

}  // namespace corering
