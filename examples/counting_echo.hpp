/// counting_echo.hpp — the server of in_epoll and in_asio: it sends everything back, and counts the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include <corering/corering.hpp>

inline std::size_t echoed = 0;

inline corering::Task<void> echo(corering::TcpStream client) {
  std::array<std::byte, 65536> buffer;
  for (;;) {
    const corering::Result<std::size_t> got = co_await client.read(buffer);
    if (!got || *got == 0) break;
    const corering::Result<void> sent = co_await client.write_all(std::span(buffer).first(*got));
    if (!sent) break;
    echoed += *got;
  }
  (void)co_await client.close();
}

inline corering::Task<void> serve(corering::TcpListener listener) {
  for (;;) {
    corering::Result<corering::TcpStream> client = co_await listener.accept();
    if (!client) break;  // most likely, the worker is stopping
    corering::spawn(echo(std::move(*client))).detach();
  }
  (void)co_await listener.close();
}
