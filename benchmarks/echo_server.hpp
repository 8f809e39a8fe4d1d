/// echo_server.hpp — an echo server in a separate process, and the load that this process puts on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load.h"
#include "process.hpp"

namespace bench {

/// A program of benchmarks/servers, and its arguments.
struct ServerKind {
  std::string subject;
  std::vector<std::string> arguments;
};

/// Returns every server, "raw" first.
[[nodiscard]] const std::vector<ServerKind>& server_kinds();

/// A running server. It runs on the processor of the thread that starts it.
class EchoServer {
 public:
  explicit EchoServer(const ServerKind& kind);

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const Process& process() const noexcept { return process_; }
  /// Ends the server in an orderly way. Returns what it wrote at the end.
  std::string finish() { return process_.finish(); }

 private:
  Process process_;
  std::uint16_t port_;
};

struct LoadTimes {
  std::int64_t warm_up = 200'000'000;   ///< nanoseconds
  std::int64_t measured = 600'000'000;  ///< nanoseconds
  std::int64_t gap = 0;                 ///< nanoseconds between an answer and the next message
  std::int64_t interval = 0;            ///< nanoseconds from one message to the next, answered or not
};

/// Shorter times, for workloads that are repeated instead (Workload::repeats).
inline constexpr LoadTimes briefly{.warm_up = 50'000'000, .measured = 150'000'000};

/// The clients. They run on the last processor. This thread goes there while they run.
class Load {
 public:
  /// Opens the connections, `at_once` at a time, and lets the server answer one message on each. Throws when
  /// the limit of open files does not allow this number.
  Load(const EchoServer& server, unsigned connections, unsigned at_once = 1);
  Load(Load&&) = delete;
  ~Load() { load_close(load_); }

  load_result run(const LoadTimes& times = {});

  /// Returns the number of requests so far, measured or not.
  [[nodiscard]] std::uint64_t served() const noexcept { return served_; }

 private:
  const EchoServer& server_;
  load* load_ = nullptr;
  std::uint64_t served_ = 0;
};

/// Raises the limit of open files for `connections` in this process and in those that it starts. Throws when
/// the hard limit is too low.
void need_files_for(unsigned connections);

}  // namespace bench
