/// plain_call.hpp — a call of an emulated ring that is too simple to need a place where it can wait.
#pragma once

#include <cstdint>

#include "emulation/call.hpp"

namespace corering::emulation {

/// What came of a plain call, in a few words: it is returned in registers.
struct Trial {
  enum class Kind : std::uint8_t {
    whole,  ///< it is not as plain as it looks: it is to be attempted as a Call, which has moved `result`
            ///< bytes
    ended,  ///< `result` is what the call returned, or -errno
    waits,  ///< try again when its descriptor shows one of `events`
  };
  Kind kind = Kind::whole;
  std::int32_t result = 0;
  std::uint32_t events = 0;

  [[nodiscard]] static Trial whole(std::int64_t moved = 0) noexcept {
    return {.result = static_cast<std::int32_t>(moved)};
  }
  [[nodiscard]] static Trial ended(std::int64_t result) noexcept {
    return {.kind = Kind::ended, .result = static_cast<std::int32_t>(result)};
  }
  [[nodiscard]] static Trial waits(std::uint32_t events) noexcept {
    return {.kind = Kind::waits, .events = events};
  }

  [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
  /// What was moved by a call that goes on as a whole.
  [[nodiscard]] std::uint32_t moved() const noexcept {
    return is(Kind::whole) ? static_cast<std::uint32_t>(result) : 0;
  }
  /// Not for a call that goes on as a whole.
  [[nodiscard]] Answer answer(int fd) const noexcept {
    return is(Kind::ended) ? Answer::done(result) : Answer::waits(fd, events);
  }
};

/// A read, a write, a receive or a send of one buffer, as an SQE without flags describes it.
struct PlainCall {
  const Sqe* sqe = nullptr;
  int fd = -1;  ///< a descriptor of the process, or -1
  Trial trial;
};

}  // namespace corering::emulation
