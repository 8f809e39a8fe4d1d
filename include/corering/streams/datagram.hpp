/// datagram.hpp — what a stream of datagrams yields.
#pragma once

#include <netinet/in.h>
#include <span>
#include <sys/socket.h>
#include <vector>

#include <corering/resources/buffer_pool.hpp>

namespace corering {

/// One datagram, and the address that it came from.
class Datagram {
 public:
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] const sockaddr* from() const noexcept { return reinterpret_cast<const sockaddr*>(&from_); }
  [[nodiscard]] socklen_t from_length() const noexcept { return from_length_; }
  /// Returns the ancillary data as CMSG_FIRSTHDR reads it. It is empty unless it was asked for.
  [[nodiscard]] std::span<std::byte> control() noexcept { return control_; }
  /// Returns true if the buffer was too small. The rest of the datagram is lost then.
  [[nodiscard]] bool is_truncated() const noexcept { return truncated_; }

 private:
  friend class RecvmsgStream;
  LentBuffer buffer_;
  std::span<std::byte> bytes_;
  std::span<std::byte> control_;
  std::vector<std::byte> own_control_;
  sockaddr_storage from_{};
  socklen_t from_length_ = 0;
  bool truncated_ = false;
};

}  // namespace corering
