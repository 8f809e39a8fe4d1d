/// raw.hpp — the way out: any SQE at all, awaited like the others. The rows are explained in io/file.hpp.
#pragma once

#include <corering/base/assert.hpp>
#include <corering/core/multishot.hpp>
#include <corering/core/operation.hpp>

namespace corering {

namespace detail {

/// Resumes with the last CQE, however many come.
struct RawAnswer {
  using Base = NotifiedCompletion;
  Reply decode(const Reply& reply) const noexcept { return reply; }
};

inline Request checked(const Sqe& sqe) noexcept {
  CORERING_ASSERT((sqe.flags & abi::sqe_cqe_skip_success) == 0,
                  "an SQE that asks for no CQE (IOSQE_CQE_SKIP_SUCCESS) can never be awaited");
  CORERING_ASSERT((sqe.flags & (abi::sqe_io_link | abi::sqe_io_hardlink)) == 0,
                  "a linked SQE would take the next one along, whosever that is: use chain() (io/chain.hpp)");
  return Request::of(sqe);
}

}  // namespace detail

/// Submits `sqe` as it is, but for its user_data, and resumes with `res` and `flags` of its last CQE, or with
/// the errno. What it does, and what has to stay alive, is up to who fills it. CQE_SKIP_SUCCESS and links end
/// the program with a message.
/// | any | any | io_uring_enter(2) | what it points to | any |
inline IoOperation<Reply, detail::RawAnswer> async_raw(const Sqe& sqe) noexcept {
  return IoOperation<Reply, detail::RawAnswer>(detail::checked(sqe));
}

/// A multishot SQE of any kind.
class RawStream {
 public:
  /// Submits nothing yet. What `sqe` points to must stay alive until the worker has ended, or until a reply
  /// has come that is the last.
  explicit RawStream(const Sqe& sqe) : shots_(detail::checked(sqe)) {}

  /// The next CQE, whatever it says, errors too; fails itself only if it is cancelled. After a CQE that is
  /// the last (Reply::is_last()) it submits the SQE anew.
  [[nodiscard]] auto next() noexcept { return shots_.next(); }

 private:
  Multishot<Answer<Reply>> shots_;
};

}  // namespace corering
