/// objects.hpp — eventfds, pipes, sockets and files of a simulated world, as data.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <corering/base/assert.hpp>

#include "sim/object.hpp"

namespace corering::sim {

struct ChildProcess;
struct Inode;

/// The descriptor of a ring.
struct RingFile final : Object {
  RingFile() noexcept : Object(Kind::ring) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override { return 0; }
  SimWorld* world = nullptr;
};

struct Counter final : Object {  // an eventfd
  Counter() noexcept : Object(Kind::counter) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override { return POLLOUT | (count > 0 ? POLLIN : 0U); }
  std::uint64_t count = 0;
};

/// Bytes on their way: some have arrived, the others will.
class Bytes {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - head_; }
  [[nodiscard]] std::size_t arrived() const noexcept { return arrived_; }
  [[nodiscard]] const char* data() const noexcept { return bytes_.data() + head_; }
  void append(const char* from, std::size_t count) { bytes_.append(from, count); }
  void arrive(std::size_t count) noexcept { arrived_ += count; }
  void consume(std::size_t count) noexcept {
    CORERING_ASSERT(count <= arrived_, "only what has arrived is consumed");
    head_ += count;
    arrived_ -= count;
    if (head_ < 16384 && head_ < bytes_.size()) return;
    bytes_.erase(0, head_);
    head_ = 0;
  }
  void clear() noexcept {
    bytes_.clear();
    head_ = arrived_ = 0;
  }

 private:
  std::string bytes_;
  std::size_t head_ = 0;
  std::size_t arrived_ = 0;
};

struct PipeEnd final : Object {
  PipeEnd() noexcept : Object(Kind::pipe) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override;
  void notice_change(System& system) override;
  void last_close(System& system) noexcept override;
  static constexpr std::size_t capacity = 65536;

  bool writes = false;
  bool is_closed = false;
  Bytes bytes;                        ///< at the reading end
  std::shared_ptr<PipeEnd> other;     ///< until this end is closed
  std::weak_ptr<ChildProcess> child;  ///< who has this end, if it is not the program
};

/// An address, as the program has given it, and as two of them are compared.
struct Name {
  Name() noexcept = default;
  Name(const void* address, socklen_t length);
  /// Copies it as getsockname(2) does.
  /// `into` may be at any address: a multishot recvmsg writes the name into the middle of a buffer.
  void copy_to(void* into, socklen_t* length) const noexcept;
  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// A path of the file system, not an abstract name.
  [[nodiscard]] bool is_path() const noexcept;
  [[nodiscard]] std::string path() const;
  void set_port(std::uint16_t port) noexcept;
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
  /// 127.0.0.1, ::1, or a Unix socket without a name.
  [[nodiscard]] static Name local(int family) noexcept;

  sockaddr_storage storage{};
  socklen_t size = 0;
};

struct Socket : Object {
  using Object::Object;
  int family = AF_INET;
  bool is_bound = false;
  bool reuses_address = false;
  bool reuses_port = false;
  bool vanishes = false;  ///< SO_LINGER of zero: its close is a reset
  int error = 0;          ///< what the next call answers, once
  Name local;
  Name peer_name;
  std::shared_ptr<Inode> node;                 ///< the file that it is bound to, of a Unix socket with a path
  std::map<std::pair<int, int>, int> options;  ///< those that only have a value
};

/// How one side of a connection says that it sends no more.
enum class Ending : std::uint8_t { shutdown, close, reset };

struct StreamSocket final : Socket {
  enum class State : std::uint8_t { fresh, listening, connecting, connected, failed };
  StreamSocket() noexcept : Socket(Kind::stream) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override;
  void last_close(System& system) noexcept override;
  /// Who had been told the end already learns of nothing but a broken pipe.
  void reset_by_peer() noexcept {
    is_reset = true;
    if (family == AF_UNIX) is_shut_writing = true;
    error = ends && family != AF_UNIX ? EPIPE : ECONNRESET;
  }
  /// Ends the connections that nobody has accepted.
  void forget_line(System& system) noexcept;
  [[nodiscard]] std::size_t room() const noexcept { return window > in.size() ? window - in.size() : 0; }

  [[nodiscard]] bool is_connected() const noexcept { return state == State::connected; }
  [[nodiscard]] bool is_listening() const noexcept { return state == State::listening; }
  State state = State::fresh;
  bool ends = false;  ///< the other side has said that nothing more comes (FIN)
  bool is_shut_reading = false;
  bool is_shut_writing = false;
  bool is_reset = false;
  bool is_closed = false;
  std::size_t window = 65536;
  std::int64_t arrives_at = 0;  ///< when the newest that was sent to it arrives
  Bytes in;
  std::shared_ptr<StreamSocket> peer;
  std::deque<std::shared_ptr<StreamSocket>> line;  ///< of a listener
  std::size_t backlog = 0;
  std::deque<std::shared_ptr<StreamSocket>> wait_for_line;  ///< Unix sockets whose listener has a full line
};

struct DatagramSocket final : Socket, std::enable_shared_from_this<DatagramSocket> {
  DatagramSocket() noexcept : Socket(Kind::datagram) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override {
    return (waits_for_room ? 0U : POLLOUT) | (in.empty() && !is_shut_reading ? 0U : POLLIN) |
           (is_shut_reading ? POLLRDHUP : 0U) | (is_shut_reading && is_shut_writing ? POLLHUP : 0U) |
           (error != 0 ? POLLERR : 0U);
  }
  void last_close(System& system) noexcept override;

  struct Datagram {
    Name from;
    std::string bytes;
  };
  std::deque<Datagram> in;
  bool is_connected = false;
  bool is_shut_reading = false;
  bool is_shut_writing = false;
  bool is_closed = false;
  bool is_of_pair = false;                 ///< of socketpair(2)
  std::weak_ptr<DatagramSocket> peer;      ///< then
  static constexpr std::size_t most = 64;  ///< more are lost, or wait if it is a Unix socket
  [[nodiscard]] bool is_full() const noexcept { return in.size() >= most; }
  /// A socket that is connected gets only what its peer sends.
  [[nodiscard]] bool accepts_from(const Name& sender) const {
    return !is_connected || peer_name.key() == sender.key();
  }

  bool waits_for_room = false;                         ///< at the receiver it has sent to
  std::vector<std::weak_ptr<DatagramSocket>> waiting;  ///< the senders that wait for room here
  /// The peer of its pair is gone, and with it what has come from there.
  void lose_peer() noexcept {
    is_of_pair = false;
    in.clear();
  }
  /// There is room, or nobody who receives any more: whoever waits looks again.
  void let_senders_go_on(System& system);
};

}  // namespace corering::sim
