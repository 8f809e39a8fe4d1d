/// interpreter.hpp — what the SQEs of an emulated ring mean.
///
/// An SQE becomes an operation. An operation ends at once, or it waits: for a descriptor, for a helper, for a
/// time, for a number of completions. Whatever ends later is queued, and gets its CQE in the next enter that
/// gets events, as with DEFER_TASKRUN.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <sys/uio.h>
#include <vector>

#include <corering/trace/recorder.hpp>
#include <corering/uring/uapi.hpp>

#include "emulation/buffer_rings.hpp"
#include "emulation/completion_queue.hpp"
#include "emulation/inbox.hpp"
#include "emulation/opcode_rules.hpp"
#include "emulation/restriction_list.hpp"
#include "emulation/slot_table.hpp"
#include "emulation/step.hpp"
#include "emulation/submission.hpp"
#include "emulation/submission_pool.hpp"
#include "emulation/submission_table.hpp"
#include "emulation/timers.hpp"
#include "emulation/world.hpp"

namespace corering::emulation {

/// thread: the ring's
class Interpreter {
 public:
  explicit Interpreter(std::unique_ptr<World> world) noexcept
      : world_(std::move(world)), timers_(*world_), files_(*world_), inbox_(*world_, files_) {}
  Interpreter(Interpreter&&) = delete;
  ~Interpreter();

  /// Returns 0 or -errno.
  int open(std::uint32_t cq_entries, std::uint32_t* sq_flags) noexcept;
  [[nodiscard]] RestrictionList& restrictions() noexcept { return restrictions_; }

  // ---- an enter ----

  /// Makes sure that there is memory for the next `count` SQEs, and for all CQEs that they and the earlier
  /// ones post. Returns false if there is none: then none may be taken, so that no operation is lost and no
  /// chain is cut.
  [[nodiscard]] bool prepare(std::size_t count) noexcept {
    return pool_.prepare(count) && completions_.make_room(most_posts());
  }
  /// Takes one SQE. Returns false if it is wrong in itself. It is answered then, too.
  [[nodiscard]] bool take(const Sqe& sqe) noexcept;
  /// Returns true if take_plain() may take it instead.
  [[nodiscard]] bool is_plain(const Sqe& sqe) const noexcept {
    return chain_ == nullptr && emulation::is_plain(sqe) && !restrictions_.hold() && !trace::enabled();
  }
  /// Takes it, to be tried with others of its kind.
  /// keep alive: the SQE, until end_batch() or the next take()
  void take_plain(const Sqe& sqe) noexcept {
    if (plain_count_ == plain_.size()) try_plain();
    plain_[plain_count_++] = {.sqe = &sqe, .fd = descriptor_of(sqe), .trial = {}};
  }
  /// No chain goes on into another batch.
  void end_batch() noexcept {
    if (plain_count_ > 0) try_plain();
    if (chain_ != nullptr) begin_chain();
  }
  /// Makes what has happened visible, and waits until `least` CQEs are there, or `limit` is over (for ever,
  /// without one). Returns 0, -ETIME or -EINTR.
  int gather(std::uint32_t least, std::optional<Duration> limit) noexcept;

  // ---- register ----

  int register_resource(unsigned opcode, void* argument, unsigned count) noexcept;

  [[nodiscard]] CompletionQueue& completions() noexcept { return completions_; }
  [[nodiscard]] int descriptor() const noexcept { return world_->descriptor(); }
  /// Returns when gather() would find something that the descriptor does not show.
  [[nodiscard]] std::optional<Duration> until_due() const noexcept {
    if (is_short_of_memory_) return memory_nap;
    return queue_ != nullptr ? Duration::zero() : timers_.until_next();
  }

 private:
  /// How long what has found no memory waits until it tries again.
  static constexpr Duration memory_nap = std::chrono::milliseconds(1);

  using Handler = Step (Interpreter::*)(Submission&) noexcept;
  static const std::array<Handler, static_cast<std::size_t>(Opcode::pipe) + 1> handlers;

  // ---- from the SQE to the end of the operation ----
  void try_plain() noexcept;
  void post_plain(const Sqe& sqe, std::int32_t result) noexcept;
  [[nodiscard]] int descriptor_of(const Sqe& sqe) const noexcept {
    const bool is_slot = (sqe.flags & uapi::sqe_fixed_file) != 0;
    return is_slot ? files_.at(static_cast<std::uint32_t>(sqe.fd)) : sqe.fd;
  }
  void begin_chain() noexcept;
  void go_on(const PlainCall& call) noexcept;
  bool take_one(const Sqe& sqe) noexcept;
  int check(Submission& operation) noexcept;
  static void fail(Submission& operation, std::int32_t result) noexcept;
  void add_to_chain(Submission& operation) noexcept;
  void begin(Submission& operation) noexcept;
  void adopt_link_timeout(Submission& operation) noexcept;
  void settle(Submission& operation, const Step& step) noexcept;
  void end(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept;
  static void note_failure(Submission& operation, std::int32_t result) noexcept;
  void answer(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept;
  void notify(const Submission& operation) noexcept;
  [[nodiscard]] bool notifies_later(Submission& operation) noexcept;
  void follow_links(Submission& operation) noexcept;
  void cancel_links(Submission& failed) noexcept;
  void post(const Submission& operation, std::int32_t result, std::uint32_t flags) noexcept;
  [[nodiscard]] bool post_more(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept;
  void note_posted() noexcept;
  void end_counted() noexcept;

  /// How many CQEs all operations can still post. Only a multishot posts more, and it ends when there is no
  /// room.
  [[nodiscard]] std::size_t most_posts() const noexcept { return 2 * pool_.size(); }

  // ---- what is queued ----
  Step try_again(Submission& operation) noexcept;
  Step go_on(Submission& operation) noexcept;
  void queue(Submission& operation, NextStep step) noexcept;
  void queue_end(Submission& operation, std::int32_t result, std::uint32_t flags = 0) noexcept;
  void run_queue() noexcept;
  void take_reports() noexcept;
  void take_report(const Report& report) noexcept;
  void take_mail() noexcept;
  void fire_timers() noexcept;
  int look(std::optional<Duration> limit) noexcept;
  [[nodiscard]] bool may_spare_a_look() const noexcept;
  [[nodiscard]] std::int64_t end_of(std::optional<Duration> limit) const noexcept;
  int wait_for_enough(std::uint32_t least, std::int64_t until) noexcept;
  void end_limit(Submission& operation) noexcept;
  void make_visible() noexcept;

  // ---- calls ----
  Step call(Submission& operation) noexcept;
  static void remember(Submission& operation) noexcept;
  int resolve(Submission& operation) noexcept;
  int resolve_second_descriptor(Submission& operation) noexcept;
  [[nodiscard]] int check_fixed_parts(std::uint16_t index, std::span<const iovec> parts) const noexcept;
  [[nodiscard]] int check_fixed_buffer(const Submission& operation) const noexcept;
  [[nodiscard]] bool is_registered(std::uint16_t index, std::uint64_t address,
                                   std::uint64_t size) const noexcept;
  Step attempt(Submission& operation) noexcept;
  Step wait_for(Submission& operation, const Answer& answer) noexcept;
  Step lend(Submission& operation) noexcept;
  void hold_file(Submission& operation) noexcept;
  Step conclude(Submission& operation, std::int32_t result) noexcept;
  [[nodiscard]] std::uint32_t commit_buffers(Submission& operation, std::int32_t result) noexcept;
  /// Nothing, if the multishot goes on.
  std::optional<Step> shot(Submission& operation, std::int32_t result) noexcept;
  int choose_if_shown(Submission& operation) noexcept;
  int choose(Submission& operation) noexcept;
  int choose_for_message(Submission& operation) noexcept;
  static int divide_for_message(OwnMessage& own, const msghdr& given) noexcept;
  [[nodiscard]] static msghdr take_over(const Submission& operation) noexcept;
  [[nodiscard]] static std::int32_t fill_message_header(Submission& operation,
                                                        std::int32_t received) noexcept;
  std::int32_t keep_file(Submission& operation, std::int32_t result) noexcept;
  std::int32_t keep_pipe(Submission& operation, std::int32_t result) noexcept;

  // ---- the ring's own operations ----
  Step nop(Submission& operation) noexcept;
  Step timeout(Submission& operation) noexcept;
  Step timeout_remove(Submission& operation) noexcept;
  Step change_timeout(Submission& request) noexcept;
  Step poll_add(Submission& operation) noexcept;
  Step poll_remove(Submission& operation) noexcept;
  Step watch_poll(Submission& operation) noexcept;
  Step take_poll_report(Submission& operation, std::uint32_t events) noexcept;
  Step async_cancel(Submission& operation) noexcept;
  Step message(Submission& operation) noexcept;
  Step send_file(Submission& operation) noexcept;
  Step close(Submission& operation) noexcept;
  Step lend_close(Submission& operation) noexcept;
  Step files_update(Submission& operation) noexcept;
  Step install_file(Submission& operation) noexcept;
  Step unsupported(Submission& operation) noexcept;
  static int read_timeout(Submission& operation) noexcept;
  Step start_timer(Submission& operation) noexcept;
  void fire(Submission& operation) noexcept;
  TakenBack take_back(Submission& operation) noexcept;
  int cancel(Submission& operation) noexcept;
  [[nodiscard]] std::int64_t find_and_cancel(const Submission& request) noexcept;

  // ---- the end, and registering ----
  void dispose(Submission* operation) noexcept;
  static void note_closed(Submission& operation, const Answer& answer) noexcept;
  void discard_result(Submission& operation, const Answer& answer) noexcept;

  int register_files(unsigned opcode, void* argument, unsigned count) noexcept;
  int update_buffers(const uapi::RsrcUpdate2& update) noexcept;
  [[nodiscard]] bool make_buffers(std::uint32_t count) noexcept;
  int register_buffers(const uapi::RsrcRegister& wish) noexcept;
  int fill_buffers(std::uint32_t offset, std::span<const iovec> buffers) noexcept;
  static int probe(uapi::Probe& answer, unsigned count) noexcept;

  std::unique_ptr<World> world_;
  CompletionQueue completions_;
  SubmissionPool pool_;
  SubmissionTable table_;
  Timers timers_;
  BufferRings buffer_rings_;
  SlotTable files_;
  Inbox inbox_;
  std::vector<iovec> fixed_buffers_;

  std::array<PlainCall, 32> plain_;  // taken, and not yet tried
  std::size_t plain_count_ = 0;
  Submission* chain_ = nullptr;  // the first of the chain whose end was not yet seen
  Submission* chain_end_ = nullptr;
  Submission* queue_ = nullptr;
  Submission* queue_end_ = nullptr;
  std::size_t with_world_ = 0;  // how many are watched or lent
  std::vector<Submission*> counted_;
  std::uint64_t posted_by_timeouts_ = 0;
  std::uint64_t cancel_round_ = 0;
  std::uint64_t plain_posted_ = 0;   // CQEs of plain calls
  std::uint64_t plain_before_ = 0;   // by the end of the last enter that got events
  std::uint64_t plain_at_look_ = 0;  // by the last look at the world
  RestrictionList restrictions_;
  bool is_short_of_memory_ = false;  // what is queued may have to wait
};

}  // namespace corering::emulation
