/// ring_resource.cpp — the current worker's ring, as resources use it.
#include <cerrno>

#include <corering/engine/ring_resource.hpp>

#include "engine/loop.hpp"

namespace corering::here {

int register_resource(unsigned opcode, void* argument, unsigned count) noexcept {
  return require_loop("a ring's resources are registered on its worker")
      .ring()
      .register_resource(opcode, argument, count);
}

void attach_resource(RingResource& resource) noexcept {
  require_loop("a ring's resources are made on its worker").attach_resource(resource);
}

int register_buffer_ring(uapi::BufferRingRegister& wish) noexcept {
  Loop& here = require_loop("buffer rings are made on a worker");
  int registered = -EEXIST;
  // The numbers wrap around, and some may still be taken.
  for (int tries = 0; registered == -EEXIST && tries < 65536; ++tries) {
    wish.group = here.next_buffer_group();
    registered = here.ring().register_resource(uapi::register_pbuf_ring, &wish, 1);
  }
  return registered;
}

RingResource*& file_table() noexcept { return require_loop("file tables are made on a worker").file_table(); }

RingResource*& buffer_table() noexcept {
  return require_loop("buffers are registered on a worker").buffer_table();
}

std::uint64_t open_inbox(Inbox& inbox) {
  return require_loop("an inbox is opened on a worker").open_inbox(inbox);
}

void close_inbox(std::uint64_t address) noexcept {
  require_loop("an inbox is closed on its worker").close_inbox(address);
}

int ring_fd() noexcept { return require_loop("only a worker has a ring").ring().descriptor(); }

std::uint32_t sq_entries() noexcept { return require_loop("only a worker has a ring").ring().sq_entries(); }

const Capabilities& capabilities() noexcept {
  return require_loop("capabilities() was called on a thread without a worker: hop to a worker first")
      .capabilities();
}

}  // namespace corering::here
