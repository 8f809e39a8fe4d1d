/// loads.hpp — what the soak program does to the server, again and again.
#pragma once

#include <cstdint>

#include <corering/base/any_duration.hpp>

#include "soak/server.hpp"

namespace corering::soak {

/// Idle connections, held by another process.
class IdlePeer {
 public:
  /// Forks; make it before the first worker.
  IdlePeer();
  IdlePeer(IdlePeer&&) = delete;
  ~IdlePeer();

  /// Opens `count` connections, and returns how many there are then.
  std::uint64_t open(const Server& server, std::uint64_t count);
  /// Sends a byte over each and waits for its echo. Returns how many came back.
  std::uint64_t talk();
  void close_all();

 private:
  std::uint64_t ask(char what, std::uint64_t number, std::uint64_t port);
  Fd line_;
  int child_ = -1;
};

/// `clients` connections that talk `rounds` times each. Returns how many bytes came back as they were sent;
/// the program ends with a message if one did not.
std::uint64_t talk_at_once(Server& server, std::uint64_t clients, std::uint64_t rounds);

/// `hops` from one worker to the other.
void hop(Server& server, std::uint64_t hops);

/// Connects and disconnects `times`, 64 at the same time; a third of them talk in between.
void connect_and_disconnect(Server& server, std::uint64_t times);

struct Hostility {
  std::uint64_t resets = 0, half_closes = 0, drips = 0, stalls = 0, cancels = 0, quiet_closes = 0;

  [[nodiscard]] bool has_been_everything() const noexcept {
    return resets > 0 && half_closes > 0 && drips > 0 && stalls > 0 && cancels > 0 && quiet_closes > 0;
  }
};

/// Hostile clients for `time`: resets, half-closes, single bytes, answers that nobody takes, and cancels of
/// clients at any moment.
Hostility be_hostile(Server& server, AnyDuration time, std::uint64_t seed);

/// `tasks` on both workers wait `times` each for 10 ms, beside a poll that is pending.
void wait_beside_a_poll(Server& server, std::uint64_t tasks, std::uint64_t times);

}  // namespace corering::soak
