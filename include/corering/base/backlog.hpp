/// backlog.hpp — items that wait to be taken, first in, first out.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <corering/base/assert.hpp>

namespace corering {

/// A vector from which items are taken at the front. It holds at most twice the largest number of items that
/// ever waited.
template <class T>
class Backlog {
 public:
  [[nodiscard]] bool empty() const noexcept { return next_ == items_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size() - next_; }

  void push(T item) { items_.push_back(std::move(item)); }

  /// Takes the oldest item. There must be one.
  [[nodiscard]] T take() {
    CORERING_ASSERT(!empty(), "only what has come can be taken");
    T first = std::move(items_[next_++]);
    if (2 * next_ >= items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(next_));
      next_ = 0;
    }
    return first;
  }

 private:
  std::vector<T> items_;
  std::size_t next_ = 0;
};

}  // namespace corering
