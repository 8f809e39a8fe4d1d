/// raw.hpp — the way out: any SQE at all, awaited like the others. The rows are explained in
/// io/file_calls.hpp.
#pragma once

#include <array>
#include <cstring>
#include <span>

#include <corering/base/assert.hpp>
#include <corering/core/operation.hpp>
#include <corering/engine/multishot.hpp>
#include <corering/resources/descriptor.hpp>

namespace corering {

namespace detail {

/// Resumes with the last CQE, however many come.
struct RawAnswer {
  using Base = NotifiedCompletion;
  Reply decode(const Reply& reply) const noexcept { return reply; }
};

inline Request checked(const Sqe& sqe) noexcept {
  CORERING_ASSERT((sqe.flags & uapi::sqe_cqe_skip_success) == 0,
                  "an SQE that asks for no CQE (IOSQE_CQE_SKIP_SUCCESS) can never be awaited");
  CORERING_ASSERT((sqe.flags & (uapi::sqe_io_link | uapi::sqe_io_hardlink)) == 0,
                  "a linked SQE would also link the next SQE, which may belong to another coroutine: use "
                  "chain() (io/chain.hpp)");
  CORERING_ASSERT((sqe.flags & uapi::sqe_io_drain) == 0,
                  "an SQE that waits for all SQEs before it (IOSQE_IO_DRAIN) would never start, because the "
                  "worker's own wake-up is always armed");
  return Request::of(sqe);
}

}  // namespace detail

/// Submits `sqe` as it is, except for its user_data. Resumes with `res` and `flags` of its last CQE, or with
/// the errno. Whoever fills the SQE decides what it does and what must stay alive. CQE_SKIP_SUCCESS, links
/// and IO_DRAIN end the program with a message.
/// | any | any | io_uring_enter(2) | what it points to | any |
inline IoOperation<Reply, detail::RawAnswer> async_raw(const Sqe& sqe) noexcept {
  return IoOperation<Reply, detail::RawAnswer>(detail::checked(sqe));
}

/// Sends a command to the file's own driver: `command_op` and up to 16 bytes that belong to the command (the
/// SQE's cmd). Resumes with what the driver says. More than 16 bytes end the program with a message.
/// | URING_CMD | 5.19 | io_uring_enter(2) | what the command points to | EOPNOTSUPP: it has none |
inline IoOperation<Reply, detail::RawAnswer> async_uring_cmd(
    const Descriptor& file, std::uint32_t command_op, std::span<const std::byte> command = {}) noexcept {
  CORERING_ASSERT(command.size() <= 16, "a command must fit into 16 bytes, because the SQE has 64");
  std::array<std::uint64_t, 2> words{};
  if (!command.empty()) std::memcpy(words.data(), command.data(), command.size());
  return IoOperation<Reply, detail::RawAnswer>(Request{.fd = file.number(),
                                                       .off = command_op,
                                                       .head = head(Opcode::uring_cmd, file),
                                                       .addr3 = words[0],
                                                       .pad = words[1]});
}

/// Submits a multishot SQE of any kind.
class RawStream {
 public:
  /// Submits nothing yet.
  /// keep alive: what `sqe` points to, until the last reply has come or the worker has ended
  explicit RawStream(const Sqe& sqe) : shots_(detail::checked(sqe)) {}

  /// Waits for the next CQE, and yields it whatever it says, even an error. next() itself fails only if it is
  /// cancelled. After the last CQE (Reply::is_last()) it submits the SQE again.
  [[nodiscard]] auto next() noexcept { return shots_.next(); }

 private:
  Multishot<Answer<Reply>> shots_;
};

}  // namespace corering
