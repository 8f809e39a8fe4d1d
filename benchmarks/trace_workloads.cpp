/// trace_workloads.cpp — what recording costs: the same work with and without it.
#include <algorithm>
#include <cstdlib>
#include <thread>

#include <corering/trace/attachment.hpp>

#include "echo_server.hpp"
#include "our_side.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

namespace trace = corering::trace;

/// Work that was recorded, and the same work a moment before, which was not recorded.
struct Compared {
  double off_ns = 0;  ///< of one operation
  double on_ns = 0;
  double events = 0;  ///< for one operation
};

Metrics metrics_of(const Compared& compared, const char* name, const char* unit,
                   double nanoseconds_per_unit) {
  return {{.name = name, .unit = unit, .value = compared.on_ns / nanoseconds_per_unit},
          {.name = "events", .unit = "per operation", .value = compared.events},
          {.name = "recording",
           .unit = "ns/event",
           .value = (compared.on_ns - compared.off_ns) / compared.events}};
}

std::size_t events_recorded() {
  std::size_t events = 0;
  for (const trace::ThreadRecording& thread : trace::snapshot()) events += thread.events.size() + thread.lost;
  return events;
}

// ---- nop ----

constexpr unsigned depth = 128;
constexpr std::uint64_t nops = 500'000;
constexpr unsigned repeats = 4;

double plain_nop() { return our_nop(depth, nops) / static_cast<double>(nops); }

Compared recorded_nop() {
  Compared compared{.off_ns = plain_nop()};
  if (!trace::start()) std::abort();
  compared.on_ns = plain_nop();
  trace::stop();
  compared.events = static_cast<double>(events_recorded()) / static_cast<double>(nops);
  return compared;
}

// ---- echo ----

constexpr unsigned connections = 50;
const ServerKind untraced_server{.subject = "without", .arguments = {"echo_untraced"}};
const ServerKind plain_server{.subject = "off", .arguments = {"echo_corering"}};
const ServerKind hist_server{.subject = "hist", .arguments = {"echo_corering", "hist"}};
const ServerKind recording_server{.subject = "recorded", .arguments = {"echo_corering", "recorded"}};

double server_ns(Load& load) {
  const load_result result = load.run(briefly);
  return static_cast<double>(result.server_nanoseconds) / static_cast<double>(result.requests);
}

double echo_of(const ServerKind& kind) {
  EchoServer server(kind);
  double nanoseconds = 0;
  {
    Load load(server, connections);
    nanoseconds = server_ns(load);
  }
  server.finish();
  return nanoseconds;
}

Compared recorded_echo() {
  Compared compared{.off_ns = echo_of(plain_server)};
  EchoServer server(recording_server);
  std::uint64_t served = 0;
  {
    Load load(server, connections);
    compared.on_ns = server_ns(load);
    served = load.served();
  }
  compared.events = number_in(server.finish()) / static_cast<double>(served);
  return compared;
}

// ---- one event ----

constexpr std::uint64_t single_events = 4'000'000;

/// Returns the time that `one` takes, each time.
template <class One>
double repeated(std::uint64_t times, const One& one) {
  if (!trace::start()) std::abort();
  for (std::uint64_t i = 0; i < trace::usual_events_per_thread; ++i)
    trace::record(trace::Kind::remark, 0, nullptr);  // touches the ring
  const corering::TimePoint begin = corering::Clock::now();
  for (std::uint64_t i = 0; i < times; ++i) one(i);
  const double time = since(begin);
  trace::stop();
  return time;
}

double readings(std::uint64_t times) {
  std::uint64_t sum = 0;
  const double time = repeated(times, [&sum](std::uint64_t) { sum += trace::stamp(); });
  return sum == 0 ? 0 : time;
}
double events_with_own_stamp(std::uint64_t times) {
  return repeated(times, [](std::uint64_t i) { trace::record(trace::Kind::remark, 0, nullptr, i); });
}
double events_with_shared_stamp(std::uint64_t times) {
  const std::uint64_t stamp = trace::stamp();
  return repeated(times,
                  [stamp](std::uint64_t i) { trace::record_at(stamp, trace::Kind::remark, 0, nullptr, i); });
}

// ---- the first event of a thread ----

double first_event_ns() {
  double time = 0;
  std::thread([&time] {
    const corering::TimePoint begin = corering::Clock::now();
    trace::record(trace::Kind::remark, 0, nullptr);
    time = since(begin);
  }).join();
  return time;
}

Metrics first_events() {
  constexpr std::size_t threads = 100;
  if (!trace::start()) std::abort();
  std::vector<double> times(threads);
  std::ranges::generate(times, first_event_ns);
  trace::stop();
  std::ranges::sort(times);
  return {{.name = "p50", .unit = "us", .value = times[threads / 2] / 1e3},
          {.name = "p90", .unit = "us", .value = times[threads * 9 / 10] / 1e3},
          {.name = "max", .unit = "us", .value = times.back() / 1e3}};
}

// ---- somebody attaches, and leaves ----

/// The connections are new each time: a run ends with messages on their way.
double requests_per_second(const EchoServer& server) {
  Load load(server, connections);
  const load_result result = load.run(briefly);
  return static_cast<double>(result.requests) * 1e9 / static_cast<double>(result.nanoseconds);
}

/// Returns how long the cycles took.
double attach_and_leave(pid_t server, int cycles) {
  const corering::TimePoint begin = corering::Clock::now();
  for (int i = 0; i < cycles; ++i) check(trace::Attachment::to(server, trace::Level::full));
  return since(begin) / cycles;
}

Metrics before_and_after_attachments() {
  constexpr int cycles = 100;
  EchoServer server(plain_server);
  const double before = requests_per_second(server);
  double cycle_ns = 0;
  {
    const std::jthread others([&] { cycle_ns = attach_and_leave(server.process().pid(), cycles); });
    (void)requests_per_second(server);
  }
  const double after = requests_per_second(server);
  server.finish();
  return {
      {.name = "throughput", .unit = "after to before", .value = after / before, .better = Better::higher},
      {.name = "attaching", .unit = "us", .value = cycle_ns / 1e3}};
}

// ---- a library with a trace that is off, and one without a trace ----

Subject nop_program(const char* subject, const char* program) {
  return {.name = subject, .run = [program] {
            const double time =
                number_in(output_of({beside(program), std::to_string(depth), std::to_string(nops)}));
            return Metrics{{.name = "time", .unit = "ns/operation", .value = time}};
          }};
}

Subject echo_program(const ServerKind& kind) {
  return {.name = kind.subject, .run = [&kind] {
            return Metrics{{.name = "server CPU", .unit = "us/request", .value = echo_of(kind) / 1e3}};
          }};
}

}  // namespace

void add_trace_workloads(std::vector<Workload>& all) {
  all.push_back({.name = "trace",
                 .parameters = "nop, depth " + std::to_string(depth),
                 .subjects = {timed("off", nops, [](std::uint64_t n) { return our_nop(depth, n); }),
                              {.name = "recorded",
                               .run = [] { return metrics_of(recorded_nop(), "time", "ns/operation", 1); }}},
                 .repeats = repeats});
  all.push_back(
      {.name = "trace",
       .parameters = "echo, " + std::to_string(connections) + " connections",
       .subjects = {echo_program(plain_server),
                    echo_program(hist_server),
                    {.name = "recorded",
                     .run = [] { return metrics_of(recorded_echo(), "server CPU", "us/request", 1e3); }}},
       .repeats = repeats});
  all.push_back({.name = "trace",
                 .parameters = "one event",
                 .subjects = {timed("clock", single_events, readings),
                              timed("shared_stamp", single_events, events_with_shared_stamp),
                              timed("own_stamp", single_events, events_with_own_stamp)},
                 .repeats = repeats});
  all.push_back({.name = "trace",
                 .parameters = "the first event of a thread",
                 .subjects = {{.name = "recorded", .run = first_events}}});
  all.push_back({.name = "trace",
                 .parameters = "echo, " + std::to_string(connections) + " connections, 100 attach and leave",
                 .subjects = {{.name = "off", .run = before_and_after_attachments}},
                 .repeats = repeats});
  all.push_back({.name = "trace",
                 .parameters = "off or left out, nop, depth " + std::to_string(depth),
                 .subjects = {nop_program("without", "nop_untraced"), nop_program("off", "nop_traced")},
                 .repeats = repeats});
  all.push_back({.name = "trace",
                 .parameters = "off or left out, echo, " + std::to_string(connections) + " connections",
                 .subjects = {echo_program(untraced_server), echo_program(plain_server)},
                 .repeats = repeats});
}

}  // namespace bench
