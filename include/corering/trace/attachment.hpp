/// attachment.hpp — switches recording on in another process, and reads what it records.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <sys/types.h>

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/trace/recording.hpp>

namespace corering::trace {

/// As long as it lives, the other process records. Several may attach at once, and start() and stop() of the
/// process itself are another one among them: the most that somebody wants is recorded. If the one who
/// attached is killed, the next one who attaches takes back what it had asked for. An attachment ends when
/// the process begins a recording in another file.
///
/// The process needs no privileges for this, and the one who attaches needs those to open /proc/PID/fd: the
/// same user is enough, as a rule.
class Attachment {
 public:
  /// errors: ESRCH: there is no such process; ENOENT: it has no worker of corering, or one that records
  ///   nowhere; EACCES: it belongs to somebody else; EUSERS: too many have attached
  [[nodiscard]] static Result<Attachment> to(pid_t pid, Level level);
  Attachment(Attachment&& other) noexcept;
  Attachment& operator=(Attachment&& other) = delete;
  ~Attachment();

  /// Copies what the process has recorded so far; it does not wait for us.
  [[nodiscard]] Result<Recording> recording() const;

  /// Has the process keep what exceeds these limits as long as this lives. There is one set of limits in a
  /// process.
  /// errors: EBUSY: the process itself, or somebody else who attached, has set limits; EINVAL: this one did
  ///   not attach with Level::full, or there is no limit
  [[nodiscard]] Result<void> keep(const Capture& capture) noexcept;

 private:
  struct Page;
  Attachment(Fd file, std::unique_ptr<Page> page) noexcept;

  Fd file_;
  std::unique_ptr<Page> page_;
};

/// Returns the limits that are written as in CORERING_TRACE, "slow=5ms,stall=20ms,every=1s"; nothing if they
/// are not understood, or are none.
[[nodiscard]] std::optional<Capture> parse_capture(std::string_view words) noexcept;

}  // namespace corering::trace
