/// streams.cpp — when a stream continues by itself, and when it ends.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include <corering/io/control_calls.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/io/socket_calls.hpp>
#include <corering/streams/streams.hpp>
#include <corering/sync/sleep.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

class StreamCategory final : public std::error_category {
 public:
  constexpr StreamCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.stream"; }
  std::string message(int value) const override {
    switch (static_cast<StreamErrc>(value)) {
      case StreamErrc::end:
        return "the end of the stream";
      case StreamErrc::unexpected_end:
        return "the stream ended in the middle of what was expected";
      case StreamErrc::too_long:
        return "the delimiter did not come within the limit";
    }
    return "unknown";
  }
};

std::unexpected<std::error_code> failed_with(std::int32_t res) noexcept { return failure(-res); }

std::unexpected<std::error_code> at_end() noexcept {
  return std::unexpected(make_error_code(StreamErrc::end));
}

// While nothing is free, a new try would fail at once: the loop would run a million times a second.
constexpr Duration accept_pause = std::chrono::milliseconds(20);
// EPERM is a firewall's rule, and the others are of the network; they may be there for a while.
constexpr std::array not_now = {EMFILE,       ENFILE,      ENOBUFS,     ENOMEM,    ENOSR,
                                EPERM,        ENETDOWN,    ENOPROTOOPT, EHOSTDOWN, ENONET,
                                EHOSTUNREACH, ENETUNREACH, ETIMEDOUT};

// accept(2) lists errors of the connection that was about to be accepted: "treat them like EAGAIN by
// retrying". The next connection has nothing to do with them.
constexpr std::array of_one_connection = {ECONNABORTED, EPROTO, EAGAIN, EINTR};

template <std::size_t N>
bool is_one_of(const std::array<int, N>& errors, std::int32_t res) noexcept {
  return std::ranges::find(errors, -res) != errors.end();
}

Request accept_request(const Descriptor& listener) noexcept {
  return {.fd = listener.number(), .head = head(Opcode::accept, listener, 0, uapi::accept_multishot)};
}

Request buffered_request(Opcode opcode, const Descriptor& file, const BufferPool& pool,
                         std::uint32_t ioprio) noexcept {
  return {.fd = file.number(),
          .off = opcode == Opcode::read_multishot ? current_position.sqe_field() : 0,
          .head = head(opcode, file, uapi::sqe_buffer_select, ioprio),
          .extra = in_buffer(detail::group_of(pool.ring()))};
}

/// Returns a piece that came, or the end of the stream.
Result<LentBuffer> piece_or_end(LentBuffer piece) noexcept {
  if (piece.empty()) return at_end();
  return piece;
}

/// Turns replies into the next piece or the end. It waits until a buffer comes back when there is
/// none.
template <class Payload, class OneByOne>
Task<Result<LentBuffer>> next_piece(Multishot<Payload>& shots, detail::BufferPoolHolder& pool, bool many,
                                    OneByOne one_by_one) {
  for (;;) {
    std::int32_t res = 0;
    if (many) {
      const Result<Reply> reply = co_await shots.next();
      if (!reply) co_return std::unexpected(reply.error());
      if (reply->res >= 0) co_return piece_or_end(shots.payload().decode(*reply));
      shots.payload().dispose(*reply);
      res = reply->res;
    } else {
      if (shots.is_closed()) co_return failed_with(-ECANCELED);
      shots.bind();
      Result<LentBuffer> piece = co_await one_by_one();
      if (piece) co_return piece_or_end(std::move(*piece));
      if (piece.error() != std::errc::no_buffer_space) co_return piece;
      res = -ENOBUFS;
    }
    if (res != -ENOBUFS) co_return failed_with(res);
    const Result<void> there = co_await pool.wait_for_return();
    if (!there) co_return std::unexpected(there.error());
  }
}

}  // namespace

const std::error_category& stream_category() noexcept {
  static constinit Immortal<StreamCategory> category;
  return category.object;
}

// ---- accept ----

template <class Payload>
Task<Result<Reply>> detail::next_connection(Multishot<Payload>& shots) {
  for (;;) {
    const Result<Reply> reply = co_await shots.next();
    if (!reply || reply->res >= 0) co_return reply;
    if (is_one_of(not_now, reply->res)) {
      const Result<void> slept = co_await sleep_for(accept_pause);
      if (!slept) co_return std::unexpected(slept.error());
    } else if (!is_one_of(of_one_connection, reply->res)) {
      co_return failed_with(reply->res);
    }
  }
}

AcceptStream::AcceptStream(const Descriptor& listener, std::size_t limit)
    : shots_(
          [&listener] {
            Request request = accept_request(listener);
            request.op_flags = SOCK_CLOEXEC;
            return request;
          }(),
          {}, limit) {}

Task<Result<Fd>> AcceptStream::next() {
  const Result<Reply> reply = co_await detail::next_connection(shots_);
  if (!reply) co_return std::unexpected(reply.error());
  co_return shots_.payload().decode(*reply);
}

FixedAcceptStream::FixedAcceptStream(const FileTable& table, const Descriptor& listener, std::size_t limit)
    : shots_(
          [&listener] {
            Request request = accept_request(listener);
            request.extra = with_file_index(uapi::file_index_alloc);
            return request;
          }(),
          detail::HeldSlot(table), limit) {}

Task<Result<FixedFile>> FixedAcceptStream::next() {
  const Result<Reply> reply = co_await detail::next_connection(shots_);
  if (!reply) co_return std::unexpected(reply.error());
  co_return shots_.payload().decode(*reply);
}

// ---- bytes ----

RecvStream::RecvStream(const Descriptor& socket, const BufferPool& pool)
    : socket_(socket),
      pool_(pool),
      shots_(buffered_request(Opcode::recv, socket, pool, uapi::recv_multishot), detail::HeldLent(pool)) {}

Task<Result<LentBuffer>> RecvStream::next() {
  const auto one = [this] { return async_recv(socket_, *pool_); };
  const bool many = here::capabilities().has(Feature::recv_multishot);
  co_return co_await next_piece(shots_, pool_, many, one);
}

ReadStream::ReadStream(const Descriptor& file, const BufferPool& pool)
    : file_(file),
      pool_(pool),
      shots_(buffered_request(Opcode::read_multishot, file, pool, 0), detail::HeldLent(pool)) {}

Task<Result<LentBuffer>> ReadStream::next() {
  const auto one = [this] { return async_read(file_, *pool_, current_position); };
  if (!here::capabilities().has(Opcode::read_multishot)) one_by_one_ = true;
  Result<LentBuffer> piece = co_await next_piece(shots_, pool_, !one_by_one_, one);
  // EBADFD: the file cannot be polled.
  if (!piece && !one_by_one_ && piece.error() == std::error_code(EBADFD, std::system_category())) {
    one_by_one_ = true;
    piece = co_await next_piece(shots_, pool_, false, one);
  }
  co_return piece;
}

// ---- datagrams ----

RecvmsgStream::RecvmsgStream(const Descriptor& socket, const BufferPool& pool, std::uint32_t control_size)
    : socket_(socket),
      pool_(pool),
      control_size_(control_size),
      shots_(buffered_request(Opcode::recvmsg, socket, pool, uapi::recv_multishot),
             detail::HeldMessage(pool, control_size)) {}

// io_uring_recvmsg_out(3): a header, then as much room for the name and the control data as was asked for,
// then the payload.
Datagram RecvmsgStream::dissect(LentBuffer buffer) const noexcept {
  Datagram datagram;
  const std::span<std::byte> all = buffer.bytes();
  uapi::RecvmsgOut out;
  std::memcpy(&out, all.data(), sizeof out);
  const std::span<std::byte> name = all.subspan(sizeof out, sizeof(sockaddr_storage));
  const std::span<std::byte> control = all.subspan(sizeof out + name.size(), control_size_);
  const std::span<std::byte> payload = all.subspan(sizeof out + name.size() + control.size());
  datagram.from_length_ = std::min<socklen_t>(out.name_length, sizeof(sockaddr_storage));
  std::memcpy(&datagram.from_, name.data(), datagram.from_length_);
  datagram.control_ = control.first(std::min<std::size_t>(out.control_length, control.size()));
  datagram.bytes_ = payload.first(std::min<std::size_t>(out.payload_length, payload.size()));
  datagram.truncated_ = (out.flags & MSG_TRUNC) != 0;
  datagram.control_truncated_ = (out.flags & MSG_CTRUNC) != 0;
  datagram.buffer_ = std::move(buffer);
  return datagram;
}

Task<Result<Datagram>> RecvmsgStream::receive_one() {
  shots_.bind();
  for (;;) {
    if (shots_.is_closed()) co_return failed_with(-ECANCELED);
    Datagram datagram;
    datagram.own_control_.resize(control_size_);
    iovec anywhere{.iov_base = nullptr, .iov_len = pool_->buffer_size()};
    msghdr message{.msg_name = &datagram.from_, .msg_namelen = sizeof datagram.from_};
    message.msg_iov = &anywhere;
    message.msg_iovlen = 1;
    message.msg_control = datagram.own_control_.data();
    message.msg_controllen = control_size_;
    Request request = detail::message_transfer(head(Opcode::recvmsg, socket_, uapi::sqe_buffer_select),
                                               socket_, &message, MSG_CMSG_CLOEXEC);
    request.extra = in_buffer(detail::group_of(pool_->ring()));
    const IoOperation<LentBuffer, detail::LentAnswer> receive(request, detail::LentAnswer(pool_->ring()));
    Result<LentBuffer> buffer = co_await receive;
    if (buffer) {
      datagram.bytes_ = buffer->bytes();
      datagram.buffer_ = std::move(*buffer);
      datagram.control_ = std::span(datagram.own_control_)
                              .first(std::min<std::size_t>(message.msg_controllen, control_size_));
      datagram.from_length_ = std::min<socklen_t>(message.msg_namelen, sizeof(sockaddr_storage));
      datagram.truncated_ = (message.msg_flags & MSG_TRUNC) != 0;
      datagram.control_truncated_ = (message.msg_flags & MSG_CTRUNC) != 0;
      co_return datagram;
    }
    if (buffer.error() != std::errc::no_buffer_space) co_return std::unexpected(buffer.error());
    const Result<void> there = co_await pool_.wait_for_return();
    if (!there) co_return std::unexpected(there.error());
  }
}

Task<Result<Datagram>> RecvmsgStream::next() {
  if (pool_->is_incremental()) co_return failure(EINVAL);  // the rest of a buffer may be too small
  const std::size_t before_payload = sizeof(uapi::RecvmsgOut) + sizeof(sockaddr_storage) + control_size_;
  if (pool_->buffer_size() < before_payload) co_return failure(EINVAL);
  if (!here::capabilities().has(Feature::recv_multishot)) co_return co_await receive_one();
  for (;;) {
    const Result<Reply> reply = co_await shots_.next();
    if (!reply) co_return std::unexpected(reply.error());
    LentBuffer buffer = shots_.payload().decode(*reply);
    if (reply->res >= 0 && buffer.size() >= before_payload) co_return dissect(std::move(buffer));
    buffer.give_back();
    if (reply->res >= 0) co_return at_end();
    if (reply->res != -ENOBUFS) co_return failed_with(reply->res);
    const Result<void> there = co_await pool_.wait_for_return();
    if (!there) co_return std::unexpected(there.error());
  }
}

// ---- readiness and time ----

PollStream::PollStream(const Descriptor& fd, unsigned events)
    : shots_(Request{.fd = fd.number(),
                     .len = uapi::poll_add_multi,
                     .head = head(Opcode::poll_add, fd),
                     .op_flags = events}) {}

Task<Result<unsigned>> PollStream::next() {
  const Result<Reply> reply = co_await shots_.next();
  if (!reply) co_return std::unexpected(reply.error());
  if (reply->res < 0) co_return failed_with(reply->res);
  co_return static_cast<unsigned>(reply->res);
}

detail::HeldInterval::HeldInterval(Duration interval) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(interval);
  time_ = {.seconds = seconds.count(), .nanoseconds = (interval - seconds).count()};
}

TimeoutStream::TimeoutStream(AnyDuration interval)
    : interval_(interval),
      shots_(Request{.len = 1, .head = head(Opcode::timeout), .op_flags = uapi::timeout_multishot},
             detail::HeldInterval(interval)) {}

// The kernel finds a timeout only between two ticks. If those follow each other too fast, no cancel ever
// finds it.
constexpr Duration shortest_multishot = std::chrono::milliseconds(1);

Task<Result<void>> TimeoutStream::tick_alone() {
  const TimePoint now = here::now();
  const TimePoint last = next_tick_ == TimePoint::min() ? now : next_tick_;
  const TimePoint oldest =
      saturating_add(now, -most_missed * std::min(interval_, Duration::max() / most_missed));
  next_tick_ = saturating_add(std::max(last, oldest), interval_);
  co_return co_await async_timeout(std::max(next_tick_ - now, Duration::zero()));
}

Task<Result<void>> TimeoutStream::next() {
  if (interval_ <= Duration::zero()) co_return failure(EINVAL);
  if (interval_ < shortest_multishot || !here::capabilities().has(Feature::timeout_multishot)) {
    co_return co_await tick_alone();
  }
  const Result<Reply> reply = co_await shots_.next();
  if (!reply) co_return std::unexpected(reply.error());
  if (reply->res < 0 && reply->res != -ETIME) co_return failed_with(reply->res);
  co_return Result<void>();
}

}  // namespace corering
