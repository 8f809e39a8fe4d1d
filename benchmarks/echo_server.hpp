/// echo_server.hpp — an echo server in a process of its own, and the load on it from here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load.h"
#include "process.hpp"

namespace bench {

/// A program of benchmarks/servers and what it is told.
struct ServerKind {
  std::string subject;
  std::vector<std::string> arguments;
};

/// Every server there is, "raw" first.
[[nodiscard]] const std::vector<ServerKind>& server_kinds();

/// Runs on the processor of who starts it.
class EchoServer {
 public:
  explicit EchoServer(const ServerKind& kind);

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const Process& process() const noexcept { return process_; }
  /// Ends it in order; what it wrote at the end.
  std::string finish() { return process_.finish(); }

 private:
  Process process_;
  std::uint16_t port_;
};

struct LoadTimes {
  std::int64_t warm_up = 200'000'000;   ///< nanoseconds
  std::int64_t measured = 600'000'000;  ///< nanoseconds
  std::int64_t gap = 0;                 ///< nanoseconds between an answer and the next message
};

/// For what is repeated instead (Workload::repeats).
inline constexpr LoadTimes briefly{.warm_up = 50'000'000, .measured = 150'000'000};

/// The clients. They run on the last processor, where this thread goes for as long.
class Load {
 public:
  /// Each connection has had one message answered, `at_once` of them at a time. Throws when the limit of open
  /// files does not allow so many.
  Load(const EchoServer& server, unsigned connections, unsigned at_once = 1);
  Load(Load&&) = delete;
  ~Load() { load_close(load_); }

  load_result run(const LoadTimes& times = {});

  /// Requests so far, measured or not.
  [[nodiscard]] std::uint64_t served() const noexcept { return served_; }

 private:
  const EchoServer& server_;
  load* load_ = nullptr;
  std::uint64_t served_ = 0;
};

/// Room for `connections` in this process and in those it starts; throws when the hard limit is below.
void need_files_for(unsigned connections);

}  // namespace bench
