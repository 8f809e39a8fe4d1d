/// inbox.cpp — the emulated rings of this process, by their descriptors, and what they send to each other.
#include "emulation/inbox.hpp"

#include <cerrno>
#include <new>
#include <unordered_map>
#include <utility>

#include <corering/base/assert.hpp>

#include "base/immortal.hpp"

namespace corering::emulation {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<int, Inbox*> inboxes;
};

Registry& registry() {
  static Immortal<Registry> rings;
  return rings.object;
}

}  // namespace

int Inbox::open(int descriptor) noexcept {
  const std::lock_guard lock(registry().mutex);
  try {
    registry().inboxes[descriptor] = this;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  descriptor_ = descriptor;
  CORERING_ASSERT(descriptor >= 0, "an emulated ring has a descriptor");
  return 0;
}

Inbox::~Inbox() {
  const std::lock_guard lock(registry().mutex);
  registry().inboxes.erase(descriptor_);
}

std::unique_lock<std::mutex> Inbox::lock_out_senders() noexcept { return std::unique_lock(registry().mutex); }

int Inbox::deliver(const Cqe& message) noexcept {
  try {
    messages_.push_back(message);
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  has_mail_.store(true, std::memory_order_release);
  world_.notify();
  return 0;
}

int Inbox::send(int descriptor, const Cqe& message) noexcept {
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().inboxes.find(descriptor);
  return found == registry().inboxes.end() ? -EBADFD : found->second->deliver(message);
}

int Inbox::send_file(int descriptor, const SentFile& file) noexcept {
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().inboxes.find(descriptor);
  if (found == registry().inboxes.end()) return -EBADFD;
  Inbox& inbox = *found->second;
  CORERING_DEBUG_ASSERT(file.fd >= 0, "a file that is sent is open");
  const int result = inbox.files_.put(file.file_index, file.fd);
  if (result < 0 || file.skips_cqe) return result;
  const int delivered = inbox.deliver({.user_data = file.user_data, .res = result, .flags = 0});
  return delivered < 0 ? -EOVERFLOW : result;
}

}  // namespace corering::emulation
