/// inbox.hpp — MSG_RING between emulated rings: what one puts into another's CQ or table.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include <corering/uring/uapi.hpp>

#include "emulation/slot_table.hpp"
#include "emulation/world.hpp"

namespace corering::emulation {

/// Where a ring gets messages. It can be reached by the ring's descriptor while it lives.
class Inbox {
 public:
  Inbox(World& world, SlotTable& files) noexcept : world_(world), files_(files) {}
  Inbox(Inbox&&) = delete;
  ~Inbox();

  /// Makes it reachable. Returns 0 or -ENOMEM.
  int open(int descriptor) noexcept;

  /// Returns true if a message may be there.
  [[nodiscard]] bool has_mail() const noexcept { return has_mail_.load(std::memory_order_acquire); }
  /// Gives all messages, the oldest first, if `has_room` says that there is room for so many.
  template <class Question>
  [[nodiscard]] std::vector<Cqe> take(Question&& has_room) noexcept {
    const auto lock = lock_out_senders();
    if (!has_room(messages_.size())) return {};
    has_mail_.store(false, std::memory_order_relaxed);
    return std::exchange(messages_, {});
  }

  /// Sends to the ring with this descriptor. Returns 0 or -errno: -EBADFD if it is no ring's.
  /// thread: any
  static int send(int descriptor, const Cqe& message) noexcept;

  struct SentFile {
    int fd = -1;                   ///< goes over to the other table, if the call succeeds
    std::uint32_t file_index = 0;  ///< as in an SQE
    std::uint64_t user_data = 0;
    bool skips_cqe = false;
  };
  /// Returns 0, the slot that was picked, or -errno.
  /// thread: any
  static int send_file(int descriptor, const SentFile& file) noexcept;

  /// Nobody reaches any ring's table or inbox while this lock is held.
  [[nodiscard]] static std::unique_lock<std::mutex> lock_out_senders() noexcept;

 private:
  int deliver(const Cqe& message) noexcept;

  World& world_;
  SlotTable& files_;
  int descriptor_ = -1;
  std::vector<Cqe> messages_;
  std::atomic<bool> has_mail_ = false;
};

}  // namespace corering::emulation
