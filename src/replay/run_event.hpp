/// run_event.hpp — one thing that the worker asked for, and the answer: what a replay file is made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace corering::replay {

enum class Kind : std::uint8_t {
  nothing,
  clock,
  open_ring,
  close_ring,
  sqe,
  enter,
  cqe,
  read_now,
  register_resource,
  open_eventfd,
  close,
  nap,
  socket,
  socket_pair,
  pipe,
  bind,
  listen,
  connect,
  set_option,
  get_option,
  local_name,
  peer_name,
  refused,  ///< from here on nothing is recorded; its bytes say why
  end,
  count_,
};

/// Memory of the program that a call writes.
struct Written {
  void* at = nullptr;
  std::size_t size = 0;
};

inline constexpr std::size_t most_words = 5;

/// What was asked for is in the words, which a replay compares; what came of it is in `result` and in what
/// was written.
struct Event {
  Kind kind = Kind::nothing;
  std::array<std::uint64_t, most_words> words{};
  std::int64_t result = 0;
  std::array<Written, 2> written{};
};

/// What an Event looks like in the file. Its words, its result and what was written follow.
struct EventHead {
  std::uint32_t size = 0;  ///< of what follows
  Kind kind = Kind::nothing;
  std::uint8_t words = 0;   ///< how many are there; the others are 0
  std::uint16_t check = 0;  ///< of everything up to the end of this event
};
static_assert(sizeof(EventHead) == 8);

/// What an SQE becomes in an event's words: all that is the same in every run, without addresses.
struct SqeWords {
  static constexpr std::size_t head = 0;  ///< opcode, flags << 8, ioprio << 16, fd << 32
  static constexpr std::size_t size = 1;  ///< len, op_flags << 32
  static constexpr std::size_t offset = 2;
  static constexpr std::size_t extra = 3;   ///< as Request::extra
  static constexpr std::size_t target = 4;  ///< of a cancel: the number of the submission, from 1
};

/// Returns what was asked for, as "submits a read of descriptor 5, 4096 bytes at 0".
[[nodiscard]] std::string text_of(const Event& event);

/// The hash of a row of events.
class Hash {
 public:
  void add(const void* bytes, std::size_t size) noexcept;
  void add(const EventHead& head) noexcept;
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] std::uint16_t check() const noexcept { return static_cast<std::uint16_t>(value_ >> 48); }

 private:
  std::uint64_t value_ = 0xc0de;
};

}  // namespace corering::replay
