/// send_workloads.cpp — many small messages on one connection: one by one, gathered, and as a bundle.
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>

#include "our_side.hpp"
#include "processors.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

using corering::Fd;
using corering::Result;
using corering::SendQueue;
using corering::Task;

constexpr std::size_t at_a_time = 32;
using Message = std::array<std::byte, 64>;
using Messages = std::array<Message, at_a_time>;

void check_call(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
}

/// A TCP connection whose other end is read by a thread on the last processor, which counts the bytes.
class Connection {
 public:
  Connection() {
    const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    check_call(::bind(listener.get(), generic, length), "bind");
    check_call(::listen(listener.get(), 1), "listen");
    check_call(::getsockname(listener.get(), generic, &length), "getsockname");
    ours_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check_call(::connect(ours_.get(), generic, length), "connect");
    theirs_ = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    check_call(theirs_.get(), "accept");
    const int on = 1;
    check_call(::setsockopt(ours_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    reader_ = std::jthread([this] {
      pin_to(last_processor());
      std::array<std::byte, 1 << 16> buffer;
      for (ssize_t got = 0; (got = ::recv(theirs_.get(), buffer.data(), buffer.size(), 0)) > 0;)
        received_ += got;
    });
  }

  Connection(Connection&&) = delete;
  ~Connection() { ::shutdown(ours_.get(), SHUT_RDWR); }  // otherwise the reader would read for ever

  [[nodiscard]] int fd() const noexcept { return ours_.get(); }

  /// Ends the connection. Returns how many bytes came out at the other end.
  std::uint64_t finish() {
    check_call(::shutdown(ours_.get(), SHUT_WR), "shutdown");
    reader_.join();
    return received_;
  }

 private:
  Fd ours_, theirs_;
  std::uint64_t received_ = 0;
  std::jthread reader_;
};

Task<void> one_by_one(int fd, std::span<const Message> messages) {
  for (const Message& message : messages) {
    const Result<std::size_t> sent = co_await corering::async_send(fd, message, MSG_WAITALL);
    if (!sent || *sent != message.size()) throw std::runtime_error("a message went in part");
  }
}

Task<void> gathered(int fd, std::span<const Message> messages) {
  std::array<iovec, at_a_time> parts{};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    parts[i] = {.iov_base = const_cast<std::byte*>(messages[i].data()), .iov_len = messages[i].size()};
  }
  msghdr all{};
  all.msg_iov = parts.data();
  all.msg_iovlen = messages.size();
  const Result<std::size_t> sent = co_await corering::async_sendmsg(fd, all, MSG_WAITALL);
  if (!sent || *sent != messages.size_bytes()) throw std::runtime_error("the messages went in part");
}

Task<void> bundled(int fd, std::span<const Message> messages, SendQueue& queue) {
  for (const Message& message : messages) {
    if (!queue.push(message)) throw std::runtime_error("the queue is full");
  }
  while (!queue.empty()) {
    const Result<std::size_t> sent = co_await corering::async_send_bundle(fd, queue);
    if (!sent) throw std::system_error(sent.error());
  }
}

enum class How { one_by_one, gathered, bundled };

Task<void> send_all(int fd, How how, std::uint64_t count, double& elapsed) {
  const Messages messages{};
  Result<SendQueue> queue = SendQueue::create(at_a_time);
  check(queue);
  const corering::TimePoint begin = corering::Clock::now();
  for (std::uint64_t i = 0; i < count; i += at_a_time) {
    switch (how) {
      case How::one_by_one:
        co_await one_by_one(fd, messages);
        break;
      case How::gathered:
        co_await gathered(fd, messages);
        break;
      case How::bundled:
        co_await bundled(fd, messages, *queue);
        break;
    }
  }
  elapsed = since(begin);
}

double send_messages(How how, std::uint64_t count) {
  Connection connection;
  const double elapsed =
      measure_one([&](double& took) { return send_all(connection.fd(), how, count, took); });
  if (connection.finish() != count * sizeof(Message)) throw std::runtime_error("bytes are missing");
  return elapsed;
}

Subject sending(const char* name, How how) {
  return timed(name, 320'000, [how](std::uint64_t n) { return send_messages(how, n); });
}

}  // namespace

void add_send_workloads(std::vector<Workload>& all) {
  all.push_back(
      {.name = "send",
       .parameters = "64 bytes, 32 messages at a time",
       .subjects = {sending("corering", How::one_by_one), sending("corering_gathered", How::gathered),
                    sending("corering_bundle", How::bundled)},
       .core = false});
}

}  // namespace bench
