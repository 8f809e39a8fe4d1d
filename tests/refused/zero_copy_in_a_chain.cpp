/// zero_copy_in_a_chain.cpp — a send of which the kernel would tell twice, where it says that it tells once.
// refused: a zero-copy send may only be the first of a chain
#include <corering/io/chain.hpp>
#include <corering/io/control_calls.hpp>
#include <corering/io/socket_calls.hpp>

using namespace corering;

auto sends_after_a_nop(int socket) {
  return chain(async_nop(), async_send_zc(socket, std::span<const std::byte>()).without_fallback());
}
