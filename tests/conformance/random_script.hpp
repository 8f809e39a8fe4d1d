/// random_script.hpp — scripts that a seed makes: requests, and what the other side does meanwhile.
///
/// The generator avoids what depends on the machine's speed: whatever a helper thread of the kernel does has
/// ended before the next step, and there is nothing that a cancel may or may not find in time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corering::conformance {

/// What a script's requests are about.
enum class Thing : std::uint8_t { reader, writer, unix_pair, tcp_pair, listener, file, eventfd };

enum class Verb : std::uint8_t {
  // requests
  nop,
  fire,
  wait_long,
  remove_timeout,
  cancel,
  cancel_thing,
  cancel_all_of_thing,
  cancel_anything,
  poll_in,
  poll_out,
  poll_again,
  poll_remove,
  read,
  receive,
  receive_all,
  peek,
  receive_into_group,
  receive_again,
  read_again,
  write,
  send,
  send_zero_copy,
  send_message,
  accept,
  accept_again,
  connect,
  shut_reading,
  shut_writing,
  shut_both,
  close,
  read_at,
  write_at,
  sync,
  cut,
  limit,  // a link timeout
  // what the other side does
  they_write,
  they_read,
  they_close,
  they_connect,
  they_fill,
  they_drain,
  wake,
  lend,
  // everything that was pushed is handed over
  hand_over,
};

struct Step {
  Verb verb{};
  std::uint64_t number = 0;  ///< of the request: its user data
  unsigned thing = 0;        ///< which one
  std::uint64_t target = 0;  ///< of a cancel and the like: another request
  unsigned size = 0;
  std::uint32_t sqe_flags = 0;
};

struct RandomScript {
  std::uint64_t seed = 0;
  std::vector<Thing> things;
  std::vector<Step> steps;

  [[nodiscard]] std::string to_string() const;
};

/// The same seed gives the same script.
[[nodiscard]] RandomScript make_script(std::uint64_t seed);

/// True if a helper thread may do it, so that whoever wants to know its end waits for it.
[[nodiscard]] bool may_take_time(const Step& step) noexcept;
[[nodiscard]] bool is_request(Verb verb) noexcept;
[[nodiscard]] std::string_view name_of(Verb verb) noexcept;

}  // namespace corering::conformance
