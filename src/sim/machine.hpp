/// machine.hpp — what a simulated machine has beside files and sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <corering/base/outside.hpp>
#include <corering/sim/child_plan.hpp>

#include "sim/object.hpp"

namespace corering::sim {

class System;
struct ChildProcess;

/// Other threads, the names of hosts, signals, and child processes. The functions with the names of those of
/// Outside do what is said there.
/// keep alive: the system · thread: the system's
class Machine {
 public:
  explicit Machine(System& system) noexcept : system_(system) {}

  /// Calls the function after this time, as another thread would.
  void call_after(std::int64_t nanoseconds, std::move_only_function<void()> function);
  /// What is left is not called any more.
  void forget_calls() noexcept { calls_.clear(); }
  void run_elsewhere(std::move_only_function<void()> job);

  void name_host(const std::string& host, std::vector<std::string> addresses);
  int look_up(const std::string& host, const std::string& service,
              const std::function<void(const sockaddr*, socklen_t)>& found);
  int list_directory(int at, const char* path, const std::function<void(const std::string&, bool)>& found);

  void send_signal(int signal);
  /// It is pending no longer.
  void take_signal(int signal) noexcept;
  int signal_descriptor(std::uint64_t signals);

  using OnSpawn = std::function<std::optional<ChildPlan>(const std::vector<std::string>&)>;
  void on_spawn(OnSpawn on_spawn) { on_spawn_ = std::move(on_spawn); }
  int start_child(const std::vector<std::string>& arguments, ChildStreams& streams, int& pid);
  int signal_child(int pidfd, int signal);
  /// Something has changed for the child.
  void go_on_soon(ChildProcess& child);
  /// Returns a child that nobody has waited for, or null.
  [[nodiscard]] ChildProcess* find_child(int pid) noexcept;
  /// Somebody has waited for it.
  void forget_child(const ChildProcess& waited);

 private:
  void run_call(std::uint64_t number);
  void begin(const std::shared_ptr<ChildProcess>& child);
  void let_go_on(ChildProcess& child);
  void close_streams(ChildProcess& child);
  [[nodiscard]] std::size_t let_write(ChildProcess& child, std::size_t stream, const std::string& text);
  void end(ChildProcess& child);

  System& system_;
  std::map<std::uint64_t, std::move_only_function<void()>> calls_;
  std::uint64_t calls_made_ = 0;
  std::map<std::string, std::vector<std::string>> hosts_ = {{"localhost", {"127.0.0.1"}}};
  std::uint64_t blocked_signals_ = 0;  // one bit each, from the lowest one on
  std::uint64_t pending_signals_ = 0;
  std::vector<std::weak_ptr<Object>> signal_files_;
  OnSpawn on_spawn_;
  std::vector<std::shared_ptr<ChildProcess>> children_;  // that nobody has waited for
  int next_pid_ = 1000;
};

}  // namespace corering::sim
