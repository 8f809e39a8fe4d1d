/// load_client_test.cpp — what the clients of the benchmarks promise when they send at a fixed rate.
#include <array>
#include <chrono>
#include <cstddef>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <corering/base/fd.hpp>
#include <gtest/gtest.h>

#include "../../benchmarks/load.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds warm_up = 50ms;

constexpr std::int64_t nanoseconds(std::chrono::nanoseconds time) { return time.count(); }

/// Echoes on each connection until it ends, on a thread of its own. It takes `pause` for each answer.
class EchoThreads {
 public:
  EchoThreads(unsigned connections, std::chrono::nanoseconds pause) {
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    for (unsigned i = 0; i < connections; ++i) threads_.emplace_back([this, pause] { serve(pause); });
  }
  EchoThreads(EchoThreads&&) = delete;
  ~EchoThreads() { ::shutdown(listener_.get(), SHUT_RDWR); }

  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    return ntohs(address.sin_port);
  }

 private:
  void serve(std::chrono::nanoseconds pause) const {
    const corering::Fd client(::accept(listener_.get(), nullptr, nullptr));
    std::array<std::byte, LOAD_MESSAGE> message;
    while (::recv(client.get(), message.data(), message.size(), MSG_WAITALL) == LOAD_MESSAGE) {
      std::this_thread::sleep_for(pause);  // a slow server is what is measured here
      ::send(client.get(), message.data(), message.size(), MSG_NOSIGNAL);
    }
  }

  corering::Fd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::vector<std::jthread> threads_;
};

struct Outcome {
  load_result measured{};
  std::uint64_t answered = 0;
  std::uint64_t due = 0;  ///< no more messages than these were due
};

/// Sends every `interval`, over that number of connections in turn.
Outcome run_at_rate(unsigned connections, std::chrono::nanoseconds interval, std::chrono::nanoseconds pause) {
  const EchoThreads server(connections, pause);
  load* clients = nullptr;
  unsigned opened = 0;
  Outcome outcome;
  EXPECT_EQ(load_open(&clients, server.port(), connections, 1, &opened), 0);
  if (clients == nullptr) return outcome;
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(load_run(clients, nanoseconds(warm_up), nanoseconds(300ms), 0, nanoseconds(interval),
                     CLOCK_PROCESS_CPUTIME_ID, &outcome.measured, &outcome.answered),
            0);
  outcome.due = static_cast<std::uint64_t>((Clock::now() - begin) / interval) + 1;
  outcome.answered -= connections;  // each of them has had an answer when it was opened
  load_close(clients);
  return outcome;
}

TEST(FixedRate, no_message_is_sent_before_it_is_due) {
  const Outcome outcome = run_at_rate(2, 1ms, 0ms);
  EXPECT_GT(outcome.measured.requests, 0U);
  EXPECT_LE(outcome.answered, outcome.due);
}

// The server answers at most a fifth of the messages. So one that is answered when the warm-up has ended was
// due in the first fifth of the warm-up, or in the millisecond after that.
TEST(FixedRate, latency_counts_from_when_a_message_was_due) {
  const Outcome outcome = run_at_rate(1, 1ms, 5ms);
  EXPECT_GT(outcome.measured.requests, 0U);
  EXPECT_GT(outcome.measured.p50, 0.97 * nanoseconds(warm_up * 4 / 5 - 1ms));
}

}  // namespace
