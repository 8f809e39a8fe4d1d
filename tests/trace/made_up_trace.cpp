/// made_up_trace.cpp — simulates the turns of each worker's loop.
#include "trace/made_up_trace.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>

#include <corering/uring/uapi.hpp>

namespace iotrace {
namespace {

using corering::Opcode;

struct Sort {
  Opcode opcode;
  Ns usual_ns;
  std::uint32_t length;
  std::uint64_t place;
};
constexpr std::array sorts = {Sort{Opcode::read, 12'000, 4096, 1}, Sort{Opcode::recv, 40'000, 16384, 2},
                              Sort{Opcode::send, 6'000, 700, 3},   Sort{Opcode::write, 18'000, 8192, 4},
                              Sort{Opcode::fsync, 300'000, 0, 5},  Sort{Opcode::accept, 90'000, 0, 6}};

constexpr Ns start = 5'000'000'000'000;

/// One worker, turn by turn.
class Simulation {
 public:
  Simulation(Trace& trace, std::uint32_t thread, const MadeUp& wanted)
      : trace_(trace), thread_(thread), wanted_(wanted), random_(thread), now_(start + thread * 700) {
    for (std::uint32_t i = 0; i < wanted.tasks_per_worker; ++i) ready_.push_back({task_number(i), nothing});
  }

  void run(std::uint64_t operations) {
    for (left_ = operations; left_ > 0;) turn();
  }

 private:
  static constexpr std::size_t nothing = SIZE_MAX;
  struct Ready {
    std::uint64_t task;
    std::size_t operation;  ///< which has ended
  };
  struct Pending {
    Ns ends;
    std::size_t operation;
  };

  [[nodiscard]] std::uint64_t task_number(std::uint32_t i) const {
    return 0x7f0000000000 + thread_ * 0x1000000ULL + i * 0x400ULL;
  }
  Ns up_to(Ns most) { return static_cast<Ns>(random_() % static_cast<std::uint64_t>(most)); }

  Operation& operation(std::size_t index) { return trace_.operations[index]; }
  void set(std::size_t index, At moment, Ns at) {
    operation(index).at[static_cast<std::size_t>(moment)] = at;
  }

  void turn() {
    for (const Ready& one : std::exchange(ready_, {})) run_task(one);
    enter();
    reap();
  }

  void run_task(const Ready& one) {
    const Ns begin = now_;
    if (one.operation != nothing) set(one.operation, At::resumed, begin);
    now_ += 400 + up_to(3000);
    const std::uint64_t place = one.operation == nothing ? 1 : operation(one.operation).place;
    begin_operation(one.task);
    add_span(Span::What::run, begin, one.task, place);
  }

  void begin_operation(std::uint64_t task) {
    if (left_ == 0) return;
    --left_;
    const Sort& sort = sorts[random_() % 100 < 88 ? random_() % 4 : 4 + random_() % 2];
    Operation made;
    made.id = task + 0x80;
    made.task = task;
    made.place = sort.place;
    made.opcode = static_cast<std::uint8_t>(sort.opcode);
    made.fd = static_cast<std::int32_t>(5 + task / 0x400 % 40);
    made.length = sort.length;
    made.offset = sort.opcode == Opcode::read ? random_() % 1000 * sort.length : 0;
    made.thread = thread_;
    made.caller = thread_;
    trace_.operations.push_back(made);
    unsubmitted_.push_back(trace_.operations.size() - 1);
    give_begin(unsubmitted_.back());
  }

  void give_begin(std::size_t index) {
    const bool comes_from_main = random_() % 50 == 0;
    if (comes_from_main) {
      operation(index).caller = 0;
      operation(index).was_woken_for = true;
      set(index, At::awaited, now_ - 9000);
      set(index, At::pushed, now_ - 8800);
      set(index, At::woken, now_ - 4000);
      set(index, At::popped, now_ - 700);
      set(index, At::on_worker, now_ - 300);
      set(index, At::begun, now_ - 200);
    } else {
      set(index, At::awaited, now_ - 60);
    }
    set(index, At::filled, now_ - 30);
  }

  void enter() {
    const Ns begin = now_;
    for (const std::size_t index : std::exchange(unsubmitted_, {})) submit(index);
    const auto next = std::ranges::min_element(pending_, {}, &Pending::ends);
    const bool sleeps = next != pending_.end() && next->ends > begin + 1500;
    now_ = sleeps ? next->ends + 1200 : begin + 1500;
    add_span(sleeps ? Span::What::asleep : Span::What::enter, begin, 0, 0);
  }

  void submit(std::size_t index) {
    set(index, At::submitted, now_);
    const Ns usual = sorts[operation(index).place - 1].usual_ns;
    Ns takes = usual / 2 + up_to(usual);
    if (random_() % 5000 == 0) takes = 20'000'000;
    if (wanted_.has_kernel_lane) set(index, At::kernel_began, now_ + 300);
    pending_.push_back({.ends = now_ + 300 + takes, .operation = index});
  }

  void reap() {
    const Ns begin = now_;
    now_ += 150;
    std::ranges::sort(pending_, {}, &Pending::ends);
    std::size_t done = 0;
    for (; done < pending_.size() && pending_[done].ends <= begin; ++done) end(pending_[done], begin);
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
    add_span(Span::What::loop, begin, 0, 0);
  }

  void end(const Pending& one, Ns returned) {
    Operation& ended = operation(one.operation);
    if (wanted_.has_kernel_lane) set(one.operation, At::kernel_ended, one.ends);
    set(one.operation, At::returned, returned);
    set(one.operation, At::processed, now_);
    now_ += 40;
    ended.has_ended = true;
    ended.completions = 1;
    ended.result = random_() % 97 == 0 ? -104 : static_cast<std::int32_t>(ended.length);
    ready_.push_back({.task = ended.task, .operation = one.operation});
    set(one.operation, At::resumed, now_ + 50);  // a later turn knows better, if there is one
  }

  void add_span(Span::What what, Ns begin, std::uint64_t task, std::uint64_t place) {
    trace_.spans[thread_].push_back(
        {.begin = begin, .end = now_, .task = task, .place = place, .thread = thread_, .what = what});
  }

  Trace& trace_;
  std::uint32_t thread_;
  const MadeUp& wanted_;
  std::mt19937_64 random_;
  Ns now_;
  std::uint64_t left_ = 0;
  std::vector<Ready> ready_;
  std::vector<std::size_t> unsubmitted_;
  std::vector<Pending> pending_;
};

void add_places(corering::trace::Recording& recording) {
  constexpr std::array<const char*, 6> functions = {"load_page",  "read_request", "send_answer",
                                                    "append_log", "commit",       "serve"};
  for (std::uint32_t i = 0; i < functions.size(); ++i)
    recording.places[i + 1] = {.file = "src/http.cpp", .function = functions[i], .line = 31 + 17 * i};
}

}  // namespace

Trace made_up_trace(const MadeUp& wanted) {
  Trace trace;
  trace.recording.pid = 4711;
  trace.recording.program = "made_up";
  trace.recording.kernel = "io_uring";
  trace.recording.started_ns = start - 1000;
  trace.recording.started_unix = 1'790'000'000'000'000'000;
  trace.has_kernel_lane = wanted.has_kernel_lane;
  if (!wanted.has_kernel_lane) trace.kernel_unseen = "tracefs cannot be read";
  add_places(trace.recording);
  trace.recording.places[100] = {.file = "", .function = "cache is full", .line = 0, .is_name = true};
  trace.recording.places[101] = {.file = "src/http.cpp", .function = "client", .line = 7, .is_name = true};
  trace.tasks.push_back({.address = 1, .place = 1});
  trace.tasks.push_back({.address = 2, .place = 101, .parent = recorded_task});
  trace.recording.threads.push_back({.tid = 4711, .name = "main", .events = {}});
  trace.spans.resize(wanted.workers + 1);
  trace.marks.resize(wanted.workers + 1);
  for (std::uint32_t i = 1; i <= wanted.workers; ++i) {
    trace.recording.threads.push_back({.tid = static_cast<int>(4711 + i), .name = "worker", .events = {}});
    Simulation(trace, i, wanted).run(wanted.operations / wanted.workers);
  }
  std::ranges::sort(trace.operations, {},
                    [](const Operation& one) { return std::pair(one.begin(), one.task); });
  for (std::size_t i = 0; i < trace.operations.size(); ++i) trace.operations[i].number = i + 1;
  if (trace.operations.empty()) return trace;
  Operation& first = trace.operations.front();
  first.task = recorded_task | 1;
  trace.marks[1].push_back({.ns = first.begin(), .a = 4096, .b = 100, .kind = corering::trace::Kind::remark});
  return trace;
}

}  // namespace iotrace
