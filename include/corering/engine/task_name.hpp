/// task_name.hpp — what a program calls a task of its own.
#pragma once

#include <cstddef>

namespace corering {

/// A literal, so that nothing is copied and nothing must be kept alive: spawn(serve(client), "serve").
/// Recordings show it; without one they show the function that spawned the task, and the place.
class TaskName {
 public:
  template <std::size_t size>
  consteval TaskName(const char (&text)[size]) noexcept : text_(text) {}

  [[nodiscard]] constexpr const char* text() const noexcept { return text_; }

 private:
  const char* text_;
};

}  // namespace corering
