/// world.hpp — what an emulated ring asks of the outside: to try a call, to watch a descriptor, to tell the
/// time.
///
/// SoftwareRing knows what SQEs mean: links, timeouts, cancellation, multishot, buffers. What a single call
/// does, it asks of a world. There are two kinds: the operating system (os_world.hpp), and a simulated one.
/// Nothing here knows of epoll, of threads or of clocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <corering/base/time.hpp>

#include "emulation/call.hpp"
#include "emulation/plain_call.hpp"
#include "emulation/report.hpp"

namespace corering::emulation {

enum class TakenBack : std::uint8_t {
  given_back,  ///< it had not begun: the ring has it again, and nothing will be reported
  will_end,    ///< it was waiting: it is reported soon, as a rule with -ECANCELED
  running,     ///< it cannot be stopped: it is reported when it has ended
};

/// The clocks that a timeout can name.
enum class ClockKind : std::uint8_t { monotonic, boottime, realtime };

/// How an operation's descriptor is watched.
enum class Watching : std::uint8_t {
  once,   ///< reported once; then it is no longer watched
  edges,  ///< reported each time that something happens, until unwatch() (a multishot poll)
};

/// The outside of one ring.
/// thread: the ring's, except notify()
class World {
 public:
  /// Nothing may be lent or watched; see end().
  virtual ~World() = default;

  /// Tries the call, and waits for nothing. For a call that was ready (`was_ready`), too.
  virtual Answer attempt(Call& call) noexcept = 0;

  /// Tries many calls in a row, like attempt().
  virtual void attempt_plain(std::span<PlainCall> calls) noexcept = 0;

  /// Returns which of `events` (and POLLERR, POLLHUP) the descriptor shows now, or -errno.
  /// follows: poll(2)
  virtual std::int32_t poll(int fd, std::uint32_t events) noexcept = 0;

  /// From now on next() reports the call when `fd` shows one of `events`, POLLERR or POLLHUP. What it shows
  /// already is reported, too. Returns 0, or -errno: -EPERM if such a descriptor cannot be watched.
  virtual int watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept = 0;
  virtual void unwatch(Call& call) noexcept = 0;

  /// Gives the call to a helper, which may block in it. next() reports it when it has ended. Returns 0, or
  /// -errno if there is no helper at all.
  virtual int lend(Call& call) noexcept = 0;
  virtual TakenBack take_back(Call& call) noexcept = 0;

  /// Waits until next() has something to say, notify() is called, or `limit` is over (for ever, without one).
  /// With a limit of zero it only looks. Returns 0, or -EINTR if a signal ended the wait.
  virtual int wait(std::optional<Duration> limit) noexcept = 0;
  /// Fetches the next reports, and returns how many there were; wait() brings more.
  virtual std::size_t next(std::span<Report> reports) noexcept = 0;
  bool next(Report& report) noexcept { return next(std::span(&report, 1)) == 1; }

  /// Ends a wait() that is going on, or the next one.
  /// thread: any
  virtual void notify() noexcept = 0;

  /// Returns a descriptor that is readable when wait() would return at once, or -1.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  /// Returns the time of a clock, in nanoseconds.
  [[nodiscard]] virtual std::int64_t now(ClockKind clock) const noexcept = 0;

  /// Returns another descriptor of the same file, close-on-exec unless `inherited`, or -errno.
  virtual int duplicate(int fd, bool inherited) noexcept = 0;
  virtual void close(int fd) noexcept = 0;

  // ---- what the kernel may do at any time, and only a simulation decides to do ----
  /// Returns true if a call finds no buffer of its group, although there is one.
  virtual bool hides_buffer() noexcept { return false; }
  /// Returns true if a multishot ends with what it has got now.
  virtual bool ends_multishot() noexcept { return false; }
  /// Returns how many nanoseconds after its answer the notification of a zero-copy send comes; 0: with it.
  virtual std::int64_t delays_notification() noexcept { return 0; }
  /// Returns true if what is cancelled is answered before the cancel.
  virtual bool answers_cancelled_first() noexcept { return false; }

  /// Lets the helpers end what they are in, and joins them. Then next() reports what they had. Nothing can be
  /// lent any more.
  virtual void end() noexcept = 0;
};

/// Makes the world of a new ring, with so many helpers at most. Returns null, and sets `error` to -errno, if
/// there is no room for it.
[[nodiscard]] std::unique_ptr<World> make_os_world(int& error, std::size_t most_helpers) noexcept;

}  // namespace corering::emulation
