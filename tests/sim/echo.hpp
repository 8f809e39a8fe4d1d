/// echo.hpp — a server's handler for the tests of the simulated network.
#pragma once

#include <array>
#include <span>

#include <corering/corering.hpp>

namespace corering::sim_test {

inline Task<void> echo(TcpStream stream) {
  std::array<std::byte, 512> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await stream.read(buffer);
    if (!got || *got == 0) break;
    const Result<void> sent = co_await stream.write_all(std::span(buffer).first(*got));
    if (!sent) break;
  }
  (void)co_await stream.close();
}

}  // namespace corering::sim_test
