/// script.hpp — a script: SQEs that a ring is given, and the CQEs that have to come back.
///
/// It runs on the seam itself (Kernel::open_ring), so it can run on every kernel that stands there. Nothing
/// in it waits for ever: after `patience` it fails and says what is missing.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include <corering/uring/kernel.hpp>

#include "conformance/requests.hpp"

namespace corering::conformance {

/// What `res` has to be.
class Answer {
 public:
  Answer(int exactly) : allowed_{exactly} {}  // NOLINT: meant to convert

  /// Any number from `least` on: a descriptor, or a count of which only the sign is promised.
  [[nodiscard]] static Answer at_least(int least) {
    Answer answer(least);
    answer.and_more_ = true;
    return answer;
  }
  /// Kernels may differ here. `why` says in words why each of these is right.
  [[nodiscard]] static Answer either(std::initializer_list<int> allowed, const char* why) {
    Answer answer(0);
    answer.allowed_ = allowed;
    answer.why_ = why;
    return answer;
  }

  [[nodiscard]] bool fits(int res) const noexcept;
  [[nodiscard]] std::string text() const;

 private:
  std::vector<int> allowed_;
  bool and_more_ = false;
  std::string why_;
};

// What a script says about `flags`. Whether a socket has more data (SOCK_NONEMPTY) is a hint; it is not
// compared.
inline constexpr std::uint32_t more = uapi::cqe_more;
inline constexpr std::uint32_t notification = uapi::cqe_notif;
inline constexpr std::uint32_t buffer_goes_on = uapi::cqe_buf_more;
[[nodiscard]] constexpr std::uint32_t in_buffer_number(std::uint32_t id) noexcept {
  return uapi::cqe_buffer | id << uapi::cqe_buffer_shift;
}

struct Expected {
  std::uint64_t user_data;
  Answer res;
  std::uint32_t flags = 0;
};

class Script {
 public:
  using Place = std::source_location;

  static constexpr std::chrono::seconds patience{10};

  struct Setup {
    std::uint32_t sq_entries = 64;
    std::uint32_t cq_entries = 0;          ///< 0: the kernel's choice
    std::optional<std::uint32_t> flags{};  ///< by default those that a worker's ring has
  };

  explicit Script(Kernel& kernel) : Script(kernel, Setup{}) {}
  Script(Kernel& kernel, const Setup& setup);
  Script(Script&&) = delete;

  /// What the opening of the ring returned: 0, or -errno.
  [[nodiscard]] int opened() const noexcept { return opened_; }
  [[nodiscard]] KernelRing& ring() noexcept { return *ring_; }
  [[nodiscard]] const RingParams& params() const noexcept { return params_; }

  // ---- what is handed over ----

  /// Fills the next SQE. It goes with the next enter.
  void push(const Entry& entry, Place place = Place::current());
  /// Hands over what was pushed. Returns what the kernel answers: how many it took, or -errno.
  int enter(unsigned min_complete = 0, unsigned flags = 0, const uapi::GetEventsArg* arg = nullptr);
  /// The same, but hands over at most `to_submit` of them.
  int enter_with(unsigned to_submit);
  /// Pushes these and hands them over in one enter. The kernel has to take all of them.
  void submit(std::initializer_list<Entry> entries, Place place = Place::current());
  /// Registers a resource with the ring. Returns what the kernel answers.
  int registers(unsigned opcode, void* arg, unsigned count) {
    return ring_->register_resource(opcode, arg, count);
  }

  // ---- what has to come back ----

  /// The next CQEs have to be these, in this order.
  void expect(std::initializer_list<Expected> expected, Place place = Place::current());
  /// The next CQEs have to be these. Only those with equal user data have to be in this order.
  void expect_in_any_order(std::initializer_list<Expected> expected, Place place = Place::current());
  /// Nothing has to be there, not even after the kernel was given time for what it has at hand.
  void expect_silence(Place place = Place::current());
  /// The same without a request of its own, for timeouts that count completions.
  void expect_silence_without_asking(Place place = Place::current());
  /// The next CQE has to be one for `user_data`. Returns its `res`.
  int result_of(std::uint64_t user_data, Place place = Place::current());
  /// Waits for the next CQE, whatever it is.
  std::optional<Cqe> next();
  /// Returns the CQE that is there without entering the kernel, if there is one.
  std::optional<Cqe> reap();

  /// True if the kernel says that it keeps completions aside for which the CQ has no room.
  [[nodiscard]] bool has_overflowed() const noexcept;
  /// How many CQEs lie in the ring and have not been reaped.
  [[nodiscard]] std::uint32_t in_the_ring() const noexcept;

  /// Cancels what is left, and waits until it has ended. The end of every script.
  void finish();

 private:
  void expect_all(const std::vector<Expected>& expected, bool in_order, const Place& place);
  void compare(const Expected& expected, const Cqe& got, const Place& place) const;
  bool wait_until(TimePoint deadline);

  Kernel& kernel_;
  RingParams params_;
  std::unique_ptr<KernelRing> ring_;
  int opened_ = 0;
  std::uint32_t tail_ = 0;
  std::deque<uapi::Timespec> times_;  // the kernel reads them when it is entered
};

}  // namespace corering::conformance
