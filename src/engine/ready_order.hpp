/// ready_order.hpp — a simulation that decides in which order coroutines run.
#pragma once

#include <coroutine>
#include <span>

namespace corering {

class ReadyOrder {
 public:
  /// Puts what is ready into the order in which it will run.
  virtual void arrange(std::span<std::coroutine_handle<>> ready) noexcept = 0;

 protected:
  ~ReadyOrder() = default;
};

}  // namespace corering
