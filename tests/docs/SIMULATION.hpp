/// SIMULATION.hpp — the program that the blocks of docs/SIMULATION.md test.
#pragma once

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include <corering/corering.hpp>
#include <corering/sim/gtest.hpp>

namespace page {

// ---- a server that answers with what it was sent, and who asks it ----

inline Task<void> handle(TcpStream peer) {
  std::array<std::byte, 64> buffer;
  Result<std::size_t> got = co_await peer.read(buffer);
  for (Result<void> sent; got && *got > 0 && sent; got = co_await peer.read(buffer))
    sent = co_await peer.write_all(std::span(buffer).first(*got));
}

inline Task<void> talk_to(Address server) {
  Result<TcpStream> stream = co_await TcpStream::connect(server);
  if (!stream) co_return;
  const Result<void> sent = co_await stream->write_all("how are you?\n");
  if (!sent) co_return;
  Reader reader(*stream);
  const Result<std::string_view> answer = co_await reader.read_line();
  EXPECT_EQ(answer.value_or("how are you?"), "how are you?");
}

// ---- a program that asks for a name, has a child and waits for a signal ----

inline Task<void> my_main() {
  Result<Signals> signals = Signals::block({SIGTERM});
  if (!signals) co_return;  // a fault has left no descriptor for it
  BlockingPool pool;
  const Result<std::vector<Address>> found = co_await lookup(pool, "db", "5432");
  if (found) {
    EXPECT_EQ(found->front().to_string(), "10.0.0.7:5432");
  }
  Result<Child> child = Child::spawn({"sort"});
  if (child) {
    const Result<ChildExit> ended = co_await child->wait();
    if (ended) {
      EXPECT_TRUE(ended->success());
    }
  }
  const Result<int> signal = co_await signals->next();
  EXPECT_EQ(signal.value_or(SIGTERM), SIGTERM);
}

}  // namespace page
