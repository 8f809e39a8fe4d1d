/// outcome.cpp — runs a random script: makes its things, hands over its requests, and writes down the
/// answers.
#include "conformance/outcome.hpp"

#include <algorithm>
#include <cstring>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <set>
#include <utility>

#include "conformance/outside.hpp"
#include "conformance/script.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t own = 1'000'000;  // the user data of what the run asks by itself
constexpr std::uint16_t group = 7;
constexpr std::uint16_t buffers = 4;
constexpr std::size_t most = 64;  // bytes that the other side reads at once

std::string number(int res) {
  const char* const name = res < 0 ? ::strerrorname_np(-res) : nullptr;
  return name == nullptr ? std::to_string(res) : std::string("-") + name;
}

bool receives(Verb verb) {
  return verb == Verb::read || verb == Verb::receive || verb == Verb::receive_all || verb == Verb::peek ||
         verb == Verb::read_at;
}

bool polls(Verb verb) { return verb == Verb::poll_in || verb == Verb::poll_out || verb == Verb::poll_again; }

/// Which of the events that mean an end a poll tells depends on who woke it.
std::string events(int res) {
  if (res < 0) return number(res);
  std::string text = (res & POLLIN) != 0 ? "POLLIN" : "";
  if ((res & POLLOUT) != 0) text += " POLLOUT";
  return (res & (POLLHUP | POLLERR | POLLRDHUP)) != 0 ? text + " the end" : text;
}

class Run {
 public:
  Run(const RandomScript& random, Machine& machine)
      : random_(random), machine_(machine), outside_(machine), script_(machine.kernel()) {
    for (const Thing thing : random.things) make(thing);
    for (const Step& step : random.steps)
      if (is_request(step.verb)) requests_[step.number] = &step;
    ring_.emplace(script_, group, buffers, 8);
    ring_->lend_all();
  }

  Outcome run() {
    for (const Step& step : random_.steps) take(step);
    for (const std::uint64_t number : going_) outcome_.add(number, "goes on");
    is_over_ = true;
    for (unsigned i = 0; i < things_.size(); ++i) end(i);
    cancel_what_is_left();
    return std::move(outcome_);
  }

 private:
  struct Made {
    int ours = -1;
    int theirs = -1;
    sockaddr_in address{};
    std::uint64_t wrote = 0;  ///< bytes, so that each has a text of its own
  };

  void make(Thing thing);
  void take(const Step& step);
  void push(const Step& step);
  [[nodiscard]] Entry entry_of(const Step& step);
  void act(const Step& step);
  void hand_over();
  void settle();
  bool round_of_answers();
  bool wait_for_own();
  void note(const Cqe& cqe);
  [[nodiscard]] std::string text_of(const Cqe& cqe, const Step& step);
  [[nodiscard]] bool must_end() const;
  void cancel_what_is_left();
  void wait_for_helpers();
  void end(unsigned thing);
  [[nodiscard]] std::string& text(Made& made, unsigned size);
  [[nodiscard]] Entry message(const Step& step, std::string& bytes);

  const RandomScript& random_;
  Machine& machine_;
  Outside outside_;
  Script script_;
  std::optional<BufferRing> ring_;
  std::vector<Made> things_;
  std::map<std::uint64_t, const Step*> requests_;
  std::map<std::uint64_t, std::string*> rooms_;
  std::map<std::uint64_t, std::uint64_t> before_;  // its predecessor in a chain, or 0
  std::set<std::uint64_t> going_;
  std::set<std::uint64_t> polled_;    // repeating polls that have told something
  std::vector<std::uint16_t> taken_;  // buffers
  std::uint64_t chain_ = 0;
  bool is_over_ = false;
  Outcome outcome_;
};

void Run::make(Thing thing) {
  Made made;
  if (thing == Thing::reader || thing == Thing::writer) {
    const Pipe pipe = outside_.pipe();
    made.ours = thing == Thing::reader ? pipe.reader : pipe.writer;
    made.theirs = thing == Thing::reader ? pipe.writer : pipe.reader;
  } else if (thing == Thing::unix_pair || thing == Thing::tcp_pair) {
    const Pair pair = thing == Thing::unix_pair ? outside_.socket_pair() : outside_.tcp_pair();
    made.ours = pair.ours;
    made.theirs = pair.theirs;
  } else if (thing == Thing::listener) {
    const TcpListener listener = outside_.tcp_listener();
    made.ours = listener.fd;
    made.address = listener.address;
  } else {
    made.ours = thing == Thing::file ? outside_.file("abcdefghij") : outside_.eventfd();
  }
  const int on = 1;  // so that what is sent soon after something else does not wait for its answer
  for (const int fd : {made.ours, made.theirs})
    if (thing == Thing::tcp_pair) os::set_option(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (made.theirs >= 0) machine_.set_nonblocking(made.theirs);
  things_.push_back(made);
}

void Run::take(const Step& step) {
  if (is_request(step.verb)) return push(step);
  if (step.verb != Verb::hand_over) act(step);
  hand_over();
}

std::string& Run::text(Made& made, unsigned size) {
  std::string& bytes = outside_.room(size);
  for (char& byte : bytes) byte = static_cast<char>('a' + made.wrote++ % 26);
  return bytes;
}

Entry Run::message(const Step& step, std::string& bytes) {
  auto& part = outside_.object(iovec{bytes.data(), bytes.size()});
  return sendmsg(step.number, things_[step.thing].ours,
                 outside_.object(msghdr{.msg_iov = &part, .msg_iovlen = 1}));
}

Entry Run::entry_of(const Step& step) {
  const std::uint64_t n = step.number;
  Made& made = things_[step.thing];
  const int fd = made.ours;
  std::string& into = receives(step.verb) ? outside_.room(step.size) : outside_.room(0);
  rooms_[n] = &into;
  switch (step.verb) {
    case Verb::fire:
      return timeout(n, 0ns);
    case Verb::wait_long:
      return timeout(n, 1h);
    case Verb::remove_timeout:
      return timeout_remove(n, step.target);
    case Verb::cancel:
      return cancel(n, step.target);
    case Verb::cancel_thing:
      return cancel_of_fd(n, fd);
    case Verb::cancel_all_of_thing:
      return cancel_of_fd(n, fd, uapi::cancel_all);
    case Verb::cancel_anything:
      return cancel_everything(n);
    case Verb::poll_in:
      return poll(n, fd, POLLIN);
    case Verb::poll_out:
      return poll(n, fd, POLLOUT);
    case Verb::poll_again:
      return poll_multishot(n, fd, POLLIN);
    case Verb::poll_remove:
      return poll_remove(n, step.target);
    case Verb::read:
      return read(n, fd, into);
    case Verb::receive:
      return recv(n, fd, into);
    case Verb::receive_all:
      return recv(n, fd, into, MSG_WAITALL);
    case Verb::peek:
      return recv(n, fd, into, MSG_PEEK);
    case Verb::receive_into_group:
      return about(n, Opcode::recv, fd, nullptr, 0).from_group(group);
    case Verb::receive_again:
      return recv_multishot(n, fd, group);
    case Verb::read_again:
      return read_multishot(n, fd, group);
    case Verb::write:
      return write(n, fd, text(made, step.size));
    case Verb::send:
      return send(n, fd, text(made, step.size));
    case Verb::send_zero_copy:
      return send_zc(n, fd, text(made, step.size));
    case Verb::send_message:
      return message(step, text(made, step.size));
    case Verb::accept:
      return accept(n, fd);
    case Verb::accept_again:
      return accept_multishot(n, fd);
    case Verb::connect:
      return connect(n, outside_.tcp_socket(), &made.address, sizeof made.address);
    case Verb::shut_reading:
      return shutdown(n, fd, SHUT_RD);
    case Verb::shut_writing:
      return shutdown(n, fd, SHUT_WR);
    case Verb::shut_both:
      return shutdown(n, fd, SHUT_RDWR);
    case Verb::close:
      return close(n, outside_.let_go(fd));
    case Verb::read_at:
      return read(n, fd, into, 3);
    case Verb::write_at:
      return write(n, fd, text(made, step.size), 3);
    case Verb::sync:
      return request(n, Opcode::fsync, fd);
    case Verb::cut: {
      Entry entry = request(n, Opcode::ftruncate, fd);
      entry.sqe.off = step.size;
      return entry;
    }
    case Verb::limit:
      return link_timeout(n, 1h);
    default:
      return nop(n);
  }
}

void Run::push(const Step& step) {
  script_.push(entry_of(step).with(step.sqe_flags));
  const bool is_silent = (step.sqe_flags & uapi::sqe_cqe_skip_success) != 0;
  before_[step.number] = chain_;
  if (!is_silent) going_.insert(step.number);
  chain_ = (step.sqe_flags & (uapi::sqe_io_link | uapi::sqe_io_hardlink)) != 0 ? step.number : 0;
}

void Run::act(const Step& step) {
  Made& made = things_[step.thing];
  std::string some(step.verb == Verb::they_read ? step.size : most, '.');
  int result = 0;
  switch (step.verb) {
    case Verb::they_write:
      result = machine_.write(made.theirs, text(made, step.size));
      break;
    case Verb::they_read:
      result = machine_.read(made.theirs, some);
      break;
    case Verb::they_close:
      outside_.close(std::exchange(made.theirs, -1));
      break;
    case Verb::they_connect:
      result = machine_.connect(outside_.tcp_socket(), reinterpret_cast<const sockaddr*>(&made.address),
                                sizeof made.address);
      break;
    case Verb::they_fill:
      machine_.set_nonblocking(made.ours, true);
      for (const std::size_t size : {4096, 1})
        while (machine_.write(made.ours, std::string(size, 'f')) > 0) continue;
      machine_.set_nonblocking(made.ours, false);
      break;
    case Verb::they_drain:
      while (machine_.read(made.theirs, some) > 0) continue;
      break;
    case Verb::wake:
      result = machine_.kernel().wake(made.ours);
      break;
    default:
      for (const std::uint16_t id : std::exchange(taken_, {})) ring_->lend(id);
      break;
  }
  std::string line = std::string(name_of(step.verb)) + ": " + number(result);
  if (step.verb == Verb::they_read && result > 0)
    line += " '" + some.substr(0, static_cast<std::size_t>(result)) + "'";
  outcome_.add_outside(std::move(line));
}

void Run::hand_over() {
  chain_ = 0;
  script_.enter();
  settle();
}

/// Something that a helper does has begun and not ended.
bool Run::must_end() const {
  return std::ranges::any_of(going_, [this](std::uint64_t number) {
    return may_take_time(*requests_.at(number)) && !going_.contains(before_.at(number));
  });
}

// Until a nop is all that is answered: then the kernel has nothing at hand any more.
void Run::settle() {
  for (int quiet = 0; quiet < 2;) {
    quiet = round_of_answers() ? 0 : quiet + 1;
    machine_.settle();
  }
}

bool Run::round_of_answers() {
  script_.push(nop(own));
  return wait_for_own();
}

bool Run::wait_for_own() {
  bool brings_more = false;
  for (bool has_come = false; !has_come || must_end();) {
    const std::optional<Cqe> cqe = script_.next();
    if (!cqe) {
      outcome_.add_outside("something never ended");
      return false;
    }
    has_come = has_come || cqe->user_data == own;
    if (cqe->user_data == own) continue;
    note(*cqe);
    brings_more = true;
  }
  return brings_more;
}

void Run::note(const Cqe& cqe) {
  const Step& step = *requests_.at(cqe.user_data);
  if ((cqe.flags & uapi::cqe_notif) != 0) return;  // it may wait for the reader
  const bool goes_on = (cqe.flags & uapi::cqe_more) != 0 && step.verb != Verb::send_zero_copy;
  if (!goes_on) going_.erase(cqe.user_data);
  // Events that come soon after each other are told together or one by one.
  const bool is_news = step.verb == Verb::poll_again && (cqe.flags & uapi::cqe_more) != 0;
  if (is_news && !polled_.insert(cqe.user_data).second) return;
  const std::string line = is_news ? "events" : text_of(cqe, step);
  if (!is_over_) outcome_.add(cqe.user_data, line);
}

std::string Run::text_of(const Cqe& cqe, const Step& step) {
  const bool is_new = cqe.res >= 0 && (step.verb == Verb::accept || step.verb == Verb::accept_again);
  if (is_new) outside_.keep(cqe.res);
  if (step.verb == Verb::close && cqe.res < 0) outside_.keep(things_[step.thing].ours);
  std::string line = is_new ? "a descriptor" : polls(step.verb) ? events(cqe.res) : number(cqe.res);
  const auto size = static_cast<std::size_t>(std::max(cqe.res, 0));
  if (receives(step.verb) && random_.things[step.thing] != Thing::eventfd)
    line += " '" + rooms_.at(step.number)->substr(0, size) + "'";
  if ((cqe.flags & uapi::cqe_buffer) != 0) {
    const auto id = static_cast<std::uint16_t>(cqe.flags >> uapi::cqe_buffer_shift);
    taken_.push_back(id);
    line += " in buffer " + std::to_string(id) + " '" + ring_->text(id, size) + "'";
  }
  if ((cqe.flags & uapi::cqe_more) != 0) line += " F_MORE";
  return line;
}

// What a cancel starts, because it was linked hard, has just so much time. Only that all of it ends is sure.
// A send to a full Unix socket that is shut for reading is tried again in each enter, 128 times, because
// Linux takes the end of what can be read for room to write. Then a helper does it. No cancel finds it
// before.
void Run::cancel_what_is_left() {
  for (int rounds = 0; rounds < 200 && !going_.empty(); ++rounds) {
    script_.push(cancel_everything(own));
    (void)wait_for_own();
    settle();
  }
  wait_for_helpers();
  for (const std::uint64_t number : going_) outcome_.add(number, "never ended");
}

// A cancel has found what a helper does, and the helper has yet to notice.
void Run::wait_for_helpers() {
  while (!going_.empty()) {
    const std::optional<Cqe> cqe = script_.next();
    if (!cqe) return;
    note(*cqe);
  }
}

void Run::end(unsigned thing) {
  const Made& made = things_[thing];
  const bool is_read = made.theirs >= 0 && random_.things[thing] != Thing::reader;
  std::string some(most, '.');
  if (is_read) {
    const int result = machine_.read(made.theirs, some);
    some.resize(static_cast<std::size_t>(std::max(result, 0)));
    outcome_.add_outside("left in thing " + std::to_string(thing) + ": " + number(result) + " '" + some +
                         "'");
  }
}

}  // namespace

std::string Outcome::to_string() const {
  std::string text;
  for (const auto& [number, lines] : lines_) {
    for (const std::string& line : lines)
      text += "  " + (number == 0 ? std::string("outside") : std::to_string(number)) + ": " + line + "\n";
  }
  return text;
}

Outcome run_script(const RandomScript& script, Machine& machine) { return Run(script, machine).run(); }

}  // namespace corering::conformance
