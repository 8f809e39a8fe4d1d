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
  /// Returns the ancillary data as CMSG_FIRSTHDR reads it. It is empty unless it was asked for. Descriptors
  /// in it (SCM_RIGHTS) are close-on-exec, and whoever asked for them closes them.
  [[nodiscard]] std::span<std::byte> control() noexcept { return control_; }
  /// Returns true if the buffer was too small. The rest of the datagram is lost then.
  [[nodiscard]] bool is_truncated() const noexcept { return truncated_; }
  /// Returns true if there was more ancillary data than there was room for. The kernel has dropped the rest,
  /// and closed the descriptors in it.
  [[nodiscard]] bool is_control_truncated() const noexcept { return control_truncated_; }

 private:
  friend class RecvmsgStream;
  LentBuffer buffer_;
  std::span<std::byte> bytes_;
  std::span<std::byte> control_;
  std::vector<std::byte> own_control_;
  sockaddr_storage from_{};
  socklen_t from_length_ = 0;
  bool truncated_ = false;
  bool control_truncated_ = false;
};

}  // namespace corering
