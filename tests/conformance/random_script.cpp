/// random_script.cpp — how a seed makes a script: a table of verbs, and what each of them may be about.
#include "conformance/random_script.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <corering/uring/uapi.hpp>

#include "sim/random.hpp"

namespace corering::conformance {
namespace {

constexpr unsigned bit(Thing thing) noexcept { return 1U << static_cast<unsigned>(thing); }

constexpr unsigned pairs = bit(Thing::unix_pair) | bit(Thing::tcp_pair);
constexpr unsigned pipes = bit(Thing::reader) | bit(Thing::writer);
constexpr unsigned listeners = bit(Thing::listener);
constexpr unsigned files = bit(Thing::file);
constexpr unsigned everything = pairs | pipes | listeners | files | bit(Thing::eventfd);

enum Trait : unsigned {
  slow = 1,
  targets = 2,
  cancels = 4,
  sized = 8,
  last = 16,
  closes_theirs = 32,
  alone = 128,  ///< in its batch
  takes = 64    ///< bytes or connections
};

struct Row {
  Verb verb;
  std::string_view name;
  unsigned about;   ///< the kinds of things
  unsigned weight;  ///< how often it is drawn
  unsigned traits = 0;
};

constexpr std::array rows = {
    Row{Verb::nop, "nop", everything, 2},
    Row{Verb::fire, "timeout of 0", everything, 2, slow},
    Row{Verb::wait_long, "timeout of an hour", everything, 2},
    Row{Verb::remove_timeout, "remove the timeout", everything, 1, targets | cancels},
    Row{Verb::cancel, "cancel", everything, 5, targets | cancels},
    Row{Verb::cancel_thing, "cancel one on", everything, 0, cancels},
    Row{Verb::cancel_all_of_thing, "cancel all on", everything, 1, cancels},
    Row{Verb::cancel_anything, "cancel everything", everything, 1, cancels},
    Row{Verb::poll_in, "poll to read", everything & ~files, 3},
    Row{Verb::poll_out, "poll to write", pairs | bit(Thing::writer), 1},
    Row{Verb::poll_again, "poll again and again", everything & ~files, 2},
    Row{Verb::poll_remove, "remove the poll", everything, 1, targets | cancels},
    Row{Verb::read, "read", pairs | bit(Thing::reader) | bit(Thing::eventfd), 5, sized | takes},
    Row{Verb::receive, "receive", pairs, 5, sized | takes},
    Row{Verb::receive_all, "receive all of", pairs, 2, sized | takes},
    Row{Verb::peek, "peek at", pairs, 1, sized | takes},
    Row{Verb::receive_into_group, "receive into the group", pairs, 2, takes},
    Row{Verb::receive_again, "receive again and again", pairs, 3, takes | alone},
    Row{Verb::read_again, "read again and again", bit(Thing::reader), 3, takes | alone},
    Row{Verb::write, "write", pairs | bit(Thing::writer), 4, sized},
    Row{Verb::send, "send", pairs, 4, sized},
    Row{Verb::send_zero_copy, "send without a copy", pairs, 1, sized},
    Row{Verb::send_message, "send a message", pairs, 1, sized},
    Row{Verb::accept, "accept", listeners, 5, takes},
    Row{Verb::accept_again, "accept again and again", listeners, 2, takes | alone},
    Row{Verb::connect, "connect to", listeners, 3, slow | alone},
    Row{Verb::shut_reading, "shut down reading of", pairs, 1, slow | alone},
    Row{Verb::shut_writing, "shut down writing of", pairs, 1, slow | alone},
    Row{Verb::shut_both, "shut down", pairs | listeners, 1, slow | alone},
    Row{Verb::close, "close", everything, 1, last | alone},
    Row{Verb::read_at, "read at 3", files, 5, sized | slow},
    Row{Verb::write_at, "write at 3", files, 5, sized | slow},
    Row{Verb::sync, "fsync", files, 2, slow},
    Row{Verb::cut, "truncate to", files, 2, sized | slow},
    Row{Verb::limit, "limit of an hour", 0, 0},
    Row{Verb::they_write, "they write", pairs | bit(Thing::reader), 9, sized},
    Row{Verb::they_read, "they read", pairs | bit(Thing::writer), 4, sized},
    Row{Verb::they_close, "they close", pairs | pipes, 2, closes_theirs},
    Row{Verb::they_connect, "they connect to", listeners, 6},
    Row{Verb::they_fill, "it is filled:", bit(Thing::unix_pair) | bit(Thing::writer), 1},
    Row{Verb::they_drain, "they drain", pairs | bit(Thing::writer), 2},
    Row{Verb::wake, "wake", bit(Thing::eventfd), 5},
    Row{Verb::lend, "the buffers are lent again", pairs | bit(Thing::reader), 2},
    Row{Verb::hand_over, "hand over", 0, 0},
};

constexpr const Row& row_of(Verb verb) noexcept { return rows[static_cast<std::size_t>(verb)]; }
static_assert([] {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (static_cast<std::size_t>(rows[i].verb) != i) return false;
  return true;
}());

constexpr bool has(Verb verb, unsigned trait) noexcept { return (row_of(verb).traits & trait) != 0; }

constexpr bool repeats(Verb verb) noexcept {
  return verb == Verb::receive_again || verb == Verb::read_again || verb == Verb::accept_again;
}

constexpr std::array names_of_things = {"pipe to read", "pipe to write", "Unix pair", "TCP pair",
                                        "listener",     "file",          "eventfd"};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15 + 1) { script_.seed = seed; }

  RandomScript make() {
    for (std::uint64_t left = 1 + below(3); left > 0; --left) add_thing();
    for (std::uint64_t left = 3 + below(14); left > 0; --left) add_step();
    hand_over();
    return std::move(script_);
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_.below(end); }

  void add_thing() {
    script_.things.push_back(static_cast<Thing>(below(names_of_things.size())));
    is_ours_.push_back(true);
    is_theirs_.push_back(true);
    is_full_.push_back(false);
    takers_.push_back(0);
    has_repeating_.push_back(false);
    has_follower_.push_back(false);
  }

  [[nodiscard]] bool fits(const Row& row, unsigned thing) const {
    if ((row.about & bit(script_.things[thing])) == 0 || !is_ours_[thing]) return false;
    const bool is_theirs = !is_request(row.verb) && row.verb != Verb::they_fill && row.verb != Verb::lend;
    if (is_theirs && !is_theirs_[thing]) return false;
    if ((row.traits & last) != 0 && has_follower_[thing]) return false;
    if ((row.traits & takes) != 0 && takers_[thing] == 3) return false;
    if ((row.traits & takes) != 0 && has_repeating_[thing]) return false;
    if (repeats(row.verb) && takers_[thing] > 0) return false;
    if ((row.verb == Verb::they_read || (row.traits & (slow | alone)) == (slow | alone)) && is_full_[thing])
      return false;
    if ((row.traits & targets) != 0 && requests_.empty()) return false;
    if ((row.traits & cancels) != 0 && (batch_has_slow_ || batch_has_cancel_ || batch_polls_again_))
      return false;
    if (row.verb == Verb::poll_again && batch_has_cancel_) return false;
    return (row.traits & slow) == 0 || (!batch_has_cancel_ && (!batch_has_slow_ || batch_is_chain_));
  }

  [[nodiscard]] Verb draw_verb(unsigned thing) {
    std::uint64_t sum = 0;
    for (const Row& row : rows) sum += fits(row, thing) ? row.weight : 0;
    std::uint64_t drawn = below(sum);
    for (const Row& row : rows) {
      if (!fits(row, thing)) continue;
      if (drawn < row.weight) return row.verb;
      drawn -= row.weight;
    }
    return Verb::nop;
  }

  void add_step() {
    const auto thing = static_cast<unsigned>(below(script_.things.size()));
    if (!is_ours_[thing]) return;
    Step step{.verb = draw_verb(thing), .thing = thing};
    if (has(step.verb, sized)) step.size = static_cast<unsigned>(1 + below(12));
    if (script_.things[thing] == Thing::eventfd) step.size = 8;
    if (has(step.verb, targets)) step.target = target();
    if (!is_request(step.verb)) return add_action(step);
    step.number = ++numbers_;
    add_request(step);
  }

  std::uint64_t target() { return random_.one_in(8) ? 999 : requests_[below(requests_.size())]; }

  void add_action(const Step& step) {
    hand_over();
    if (has(step.verb, closes_theirs)) is_theirs_[step.thing] = false;
    if (step.verb == Verb::they_fill || step.verb == Verb::they_drain)
      is_full_[step.thing] = step.verb == Verb::they_fill;
    script_.steps.push_back(step);
  }

  // A link makes the next request of the batch its successor; a limit has to follow one.
  void add_request(Step step) {
    if (has(step.verb, alone)) hand_over();
    if (has(step.verb, last)) is_ours_[step.thing] = false;
    if (has(step.verb, takes)) ++takers_[step.thing];
    if (repeats(step.verb)) has_repeating_[step.thing] = true;
    const bool may_link = !has(step.verb, cancels) && !has(step.verb, alone);
    if (may_link && random_.one_in(4))
      step.sqe_flags = random_.one_in(3) ? uapi::sqe_io_hardlink : uapi::sqe_io_link;
    if (step.sqe_flags == 0 && step.verb == Verb::nop && random_.one_in(4))
      step.sqe_flags = uapi::sqe_cqe_skip_success;
    batch_has_slow_ = batch_has_slow_ || has(step.verb, slow);
    batch_has_cancel_ = batch_has_cancel_ || has(step.verb, cancels);
    batch_polls_again_ = batch_polls_again_ || step.verb == Verb::poll_again;
    batch_is_chain_ = batch_is_chain_ && step.sqe_flags != 0;
    if (std::exchange(is_linked_, step.sqe_flags != 0)) has_follower_[step.thing] = true;
    requests_.push_back(step.number);
    script_.steps.push_back(step);
    ++batch_;
    const bool is_limited = step.sqe_flags == uapi::sqe_io_link && random_.one_in(3);
    if (is_limited) add_limit(step);
    if (step.sqe_flags == 0 && (batch_ >= 6 || has(step.verb, alone) || random_.one_in(3))) hand_over();
  }

  void add_limit(const Step& of) {
    script_.steps.push_back({.verb = Verb::limit, .number = ++numbers_, .thing = of.thing});
    batch_is_chain_ = false;  // the limit has no link
    ++batch_;
  }

  // A link that leads nowhere sends its request to a helper, so the last one has none.
  void hand_over() {
    if (std::exchange(batch_, 0) == 0) return;
    script_.steps.back().sqe_flags &= ~std::uint32_t{uapi::sqe_io_link | uapi::sqe_io_hardlink};
    batch_has_slow_ = batch_has_cancel_ = batch_polls_again_ = is_linked_ = false;
    batch_is_chain_ = true;
    script_.steps.push_back({.verb = Verb::hand_over});
  }

  sim::Random random_;
  RandomScript script_;
  std::vector<bool> is_ours_;  // not closed
  std::vector<bool> is_theirs_;
  std::vector<unsigned> takers_;  // few: of many, who gets what is a matter of luck
  std::vector<bool> has_repeating_;
  std::vector<bool> has_follower_;  // a request about it waits in a chain
  std::vector<bool> is_full_;       // what makes room again is not the same everywhere, but all of it does
  std::vector<std::uint64_t> requests_;
  std::uint64_t numbers_ = 0;
  unsigned batch_ = 0;
  bool batch_is_chain_ = true;  // all of it is one
  bool batch_has_slow_ = false;
  bool batch_has_cancel_ = false;
  bool batch_polls_again_ = false;
  bool is_linked_ = false;  // the last request
};

std::string text_of(const Step& step, const RandomScript& script) {
  const Row& row = row_of(step.verb);
  std::string text = step.number == 0 ? "   " : std::to_string(step.number) + ": ";
  text += row.name;
  if (step.size > 0 && has(step.verb, sized)) text += " " + std::to_string(step.size) + " bytes";
  if (step.target > 0) text += " " + std::to_string(step.target);
  if (row.about != everything && row.about != 0 && step.verb != Verb::lend)
    text += std::string(" ") + names_of_things[static_cast<std::size_t>(script.things[step.thing])] + " " +
            std::to_string(step.thing);
  if (step.verb == Verb::close || step.verb == Verb::cancel_thing || step.verb == Verb::cancel_all_of_thing)
    text += " thing " + std::to_string(step.thing);
  if ((step.sqe_flags & uapi::sqe_io_link) != 0) text += ", linked";
  if ((step.sqe_flags & uapi::sqe_io_hardlink) != 0) text += ", linked hard";
  if ((step.sqe_flags & uapi::sqe_cqe_skip_success) != 0) text += ", silent";
  return text;
}

}  // namespace

bool is_request(Verb verb) noexcept { return verb <= Verb::limit; }
bool may_take_time(const Step& step) noexcept { return has(step.verb, slow); }
std::string_view name_of(Verb verb) noexcept { return row_of(verb).name; }

RandomScript make_script(std::uint64_t seed) { return Generator(seed).make(); }

std::string RandomScript::to_string() const {
  std::string text = "script " + std::to_string(seed) + ":\n";
  for (std::size_t i = 0; i < things.size(); ++i)
    text += "  thing " + std::to_string(i) + " is a " + names_of_things[static_cast<std::size_t>(things[i])] +
            "\n";
  for (const Step& step : steps) text += "  " + text_of(step, *this) + "\n";
  return text;
}

}  // namespace corering::conformance
