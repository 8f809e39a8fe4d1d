/// trace_workloads.cpp — what recording costs: the same work with and without it.
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
  trace::start();
  compared.on_ns = plain_nop();
  trace::stop();
  compared.events = static_cast<double>(events_recorded()) / static_cast<double>(nops);
  return compared;
}

// ---- echo ----

constexpr unsigned connections = 50;
const ServerKind untraced_server{.subject = "without", .arguments = {"echo_untraced"}};
const ServerKind plain_server{.subject = "off", .arguments = {"echo_corering"}};
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
                    {.name = "recorded",
                     .run = [] { return metrics_of(recorded_echo(), "server CPU", "us/request", 1e3); }}},
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
