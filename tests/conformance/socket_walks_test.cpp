/// socket_walks_test.cpp — random operations on two ends that are connected answer the same on simulated
/// sockets and pipes as on real ones.
#include <array>
#include <csignal>
#include <poll.h>
#include <string>
#include <sys/uio.h>

#include <gtest/gtest.h>

#include "conformance/outside.hpp"
#include "conformance/script.hpp"
#include "conformance/walk.hpp"
#include "sim/random.hpp"

namespace corering::conformance {
namespace {

/// What TCP answers after an end depends on the moment at which its segments are handled, so it is left out.
enum class Kind { pipe, stream, datagram, udp };

class SocketWalk {
 public:
  SocketWalk(Machine& machine, std::uint64_t seed, Kind kind)
      : machine_(machine), outside_(machine), script_(machine.kernel()), random_(seed), kind_(kind) {
    if (kind == Kind::pipe) {
      const Pipe pipe = outside_.pipe();
      ends_ = {pipe.reader, pipe.writer};
    } else {
      const Pair pair = kind == Kind::udp
                            ? outside_.udp_pair()
                            : outside_.socket_pair(kind == Kind::stream ? SOCK_STREAM : SOCK_DGRAM);
      ends_ = {pair.ours, pair.theirs};
    }
  }

  std::string go() {
    for (int i = 0; i < 30; ++i) {
      const std::size_t end = random_.below(2);
      if (!is_closed_[end]) kind_ == Kind::pipe ? use_pipe(end) : use_socket(end);
      machine_.settle();
    }
    return std::move(told_);
  }

 private:
  void use_pipe(std::size_t end) {
    switch (random_.below(5)) {
      case 0:
        return look_at(end);
      case 1:
        return close(end);
      default:
        return transfer(end == 0 ? "read" : "write", end == 0 ? Opcode::read : Opcode::write, end,
                        RWF_NOWAIT);
    }
  }

  void use_socket(std::size_t end) {
    constexpr std::array<std::uint32_t, 6> flags = {0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC};
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
        return transfer("send", Opcode::send, end, MSG_DONTWAIT | MSG_NOSIGNAL);
      case 3:
      case 4:
      case 5:
        return transfer("receive", Opcode::recv, end, MSG_DONTWAIT | flags[random_.below(flags.size())]);
      case 6:
        return transfer("read", Opcode::read, end, RWF_NOWAIT);
      case 7:
        return shut_down(end);
      case 8:
        return close(end);
      default:
        return look_at(end);
    }
  }

  void transfer(const std::string& what, Opcode opcode, std::size_t end, std::uint32_t flags) {
    std::string& buffer = outside_.room(24);
    buffer.assign(buffer.size(), static_cast<char>('a' + random_.below(26)));
    const Entry entry =
        about(1, opcode, ends_[end], buffer.data(), random_.below(buffer.size())).flags(flags);
    step(what + " " + std::to_string(entry.sqe.len) + " flags " + std::to_string(flags), end, entry);
    told_ += buffer + "\n";
  }

  void shut_down(std::size_t end) {
    Entry entry = request(1, Opcode::shutdown, ends_[end]);
    entry.sqe.len = static_cast<std::uint32_t>(random_.below(4));
    step("shutdown " + std::to_string(entry.sqe.len), end, entry);
  }

  void close(std::size_t end) {
    if (!random_.one_in(4)) return;
    is_closed_[end] = true;
    step("close", end, request(1, Opcode::close, outside_.let_go(ends_[end])));
  }

  /// What the end shows. A cancel ends a poll to which it shows nothing.
  void look_at(std::size_t end) {
    Entry poll = request(1, Opcode::poll_add, ends_[end]);
    poll.sqe.op_flags = POLLIN | POLLOUT | POLLRDHUP;
    script_.submit({poll});
    Entry cancel = request(2, Opcode::async_cancel);
    cancel.sqe.addr = 1;
    script_.submit({cancel});
    int shown = 0;
    for (int answers = 0; answers < 2; ++answers) {
      const std::optional<Cqe> cqe = script_.next();
      if (!cqe) return;
      if (cqe->user_data == 1) shown = cqe->res;
    }
    told_ += "end " + std::to_string(end) + " shows " + std::to_string(shown) + "\n";
  }

  void step(const std::string& what, std::size_t end, const Entry& entry) {
    script_.submit({entry});
    told_ += "end " + std::to_string(end) + " " + what + ": " + result_text(script_.result_of(1)) + "\n";
  }

  Machine& machine_;
  Outside outside_;
  Script script_;
  sim::Random random_;
  Kind kind_;
  std::array<int, 2> ends_{};
  std::array<bool, 2> is_closed_{};
  std::string told_;
};

TEST(SimSocketWalks, answer_as_real_sockets_do) {
  constexpr std::array kinds = {Kind::pipe, Kind::stream, Kind::datagram, Kind::udp};
  ::signal(SIGPIPE, SIG_IGN);
  compare_walks(2000, [&](Machine& machine, std::uint64_t seed) {
    return SocketWalk(machine, seed, kinds[seed % kinds.size()]).go();
  });
}

}  // namespace
}  // namespace corering::conformance
