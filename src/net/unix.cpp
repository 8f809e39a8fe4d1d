/// unix.cpp — sockets within one machine, and descriptors that go through them.
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/net/unix.hpp>

namespace corering {
namespace {

constexpr std::size_t most_fds = 253;  // SCM_MAX_FD of the kernel

/// A message with one buffer and room for descriptors.
class FdMessage {
 public:
  explicit FdMessage(std::size_t fds) : control_(CMSG_SPACE(fds * sizeof(int))), count_(fds) {}

  msghdr& with(const void* memory, std::size_t length) noexcept {
    buffer_ = {const_cast<void*>(memory), length};
    message_.msg_iov = &buffer_;
    message_.msg_iovlen = 1;
    // The length is not that of all of control_: control_ is rounded up, and there would be room for one more
    // descriptor.
    message_.msg_control = count_ == 0 ? nullptr : control_.data();
    message_.msg_controllen = count_ == 0 ? 0 : CMSG_LEN(count_ * sizeof(int));
    return message_;
  }

  void put(std::span<const int> fds) noexcept {
    CORERING_ASSERT(fds.size() == count_ && count_ > 0, "there is room for just these descriptors");
    cmsghdr* const header = CMSG_FIRSTHDR(&message_);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }

  /// Returns true if the kernel had more to say than there was room for, or could not open what was sent.
  [[nodiscard]] bool is_cut() const noexcept { return (message_.msg_flags & MSG_CTRUNC) != 0; }

  /// Takes over every descriptor that has come.
  [[nodiscard]] std::vector<Fd> take() {
    std::vector<Fd> fds;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message_); header != nullptr;
         header = CMSG_NXTHDR(&message_, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      CORERING_ASSERT(header->cmsg_len >= CMSG_LEN(0), "the kernel counts its own header");
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
        fds.emplace_back(fd);
      }
    }
    return fds;
  }

 private:
  std::vector<char> control_;
  std::size_t count_;
  iovec buffer_{};
  msghdr message_{};
};

/// Returns true for a socket file at which nobody listens: the last server did not remove it.
bool is_stale(const Address& address) noexcept {
  const auto* const name = reinterpret_cast<const sockaddr_un*>(address.get());
  struct stat status{};
  if (address.family() != AF_UNIX || name->sun_path[0] == '\0') return false;
  if (::stat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  // The probe is a datagram socket: at a server's socket it gets EPROTOTYPE, and the server does not notice.
  const Fd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), address.get(), address.length()) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Task<Result<UnixStream>> UnixStream::connect(Address address) {
  Result<Fd> connected = co_await detail::connect_to(address);
  if (!connected) co_return std::unexpected(connected.error());
  co_return UnixStream(std::move(*connected));
}

Result<std::pair<UnixStream, UnixStream>> UnixStream::pair() {
  std::array<int, 2> fds{};
  if (os::socket_pair(SOCK_STREAM, fds.data()) != 0) return failure(errno);
  return std::pair(UnixStream(Fd(fds[0])), UnixStream(Fd(fds[1])));
}

Task<Result<std::size_t>> UnixStream::send_fds(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (bytes.empty() || fds.size() > most_fds) co_return failure(EINVAL);
  if (fds.empty()) co_return co_await write(bytes);
  FdMessage message(fds.size());
  msghdr& header = message.with(bytes.data(), bytes.size());
  message.put(fds);
  co_return co_await async_sendmsg(fd(), header);
}

Task<Result<ReceivedFds>> UnixStream::recv_fds(std::span<std::byte> into, std::size_t most) {
  if (into.empty() || most > most_fds) co_return failure(EINVAL);
  FdMessage message(most);
  msghdr& header = message.with(into.data(), into.size());
  const Result<std::size_t> got = co_await async_recvmsg(fd(), header, MSG_CMSG_CLOEXEC);
  if (!got) co_return std::unexpected(got.error());
  ReceivedFds received;
  received.bytes = *got;
  received.fds = message.take();
  received.truncated = message.is_cut();
  // There was room for more, so the kernel had no number for the next one.
  if (received.truncated && received.fds.size() < most) co_return failure(EMFILE);
  co_return received;
}

Result<UnixListener> UnixListener::bind(const Address& address, const ListenOptions& options) {
  if (Outside* const world = os::world(); world != nullptr) {
    world->remove_stale_socket(address.get(), address.length());
  } else if (is_stale(address)) {
    ::unlink(reinterpret_cast<const sockaddr_un*>(address.get())->sun_path);
  }
  Result<Fd> socket = detail::listen_at(address, options);
  if (!socket) return std::unexpected(socket.error());
  return UnixListener(std::move(*socket));
}

}  // namespace corering
