/// sim.hpp — a world in which clock, network, files and threads are data, and one number decides everything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include <corering/base/any_duration.hpp>
#include <corering/core/task.hpp>
#include <corering/core/worker_pool.hpp>
#include <corering/sim/child_plan.hpp>
#include <corering/sim/disk.hpp>
#include <corering/sim/faults.hpp>
#include <corering/sim/happening.hpp>

namespace corering::sim {

struct WorldOptions {
  /// Decides everything that a machine decides by chance. The same seed, program and options give the same
  /// run.
  std::uint64_t seed = 1;
  std::size_t workers = 1;
  /// Of every worker. The world decides itself about their kernel, the sizes of their queues and their names.
  WorkerOptions worker = {};
  /// What goes wrong; nothing, if it is left out. See Faults::swarm().
  Faults faults = {};
  /// The files of the machine; without one, an empty disk of its own.
  /// keep alive: it, longer than the world
  Disk* disk = nullptr;
  /// After so many changes of files (writes, syncs, sizes, new and changed names) the power goes off: every
  /// later operation on files fails with EIO, and the workers are asked to stop. Then Disk::crash() decides
  /// what is left. 0: never.
  std::uint64_t power_cut_after = 0;
  /// After so many turns of all workers, faults no longer strike: whatever happened before, from then on the
  /// program has to get along and end. 0: none strikes.
  std::uint64_t turns_with_faults = 20'000;
  /// A run with more turns than this counts as one that does not end.
  std::uint64_t most_turns = 200'000;
};

/// What came of a run.
struct RunReport {
  /// Empty if all went well: the program has ended, every worker has stopped, and nothing is left open.
  /// Otherwise what is wrong, for people.
  std::string failure = {};
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;  ///< of everything that has happened
  std::uint64_t turns = 0;
  std::uint64_t operations = 0;  ///< how many the kernel has taken
  bool power_was_cut = false;
  Faults faults = {};                       ///< with their hits
  std::vector<Happening> newest = {};       ///< the last things that happened
  std::int32_t descriptors_of_workers = 0;  ///< so many of the first descriptors are the workers' own

  [[nodiscard]] bool is_good() const noexcept { return failure.empty(); }
};

/// Several workers, the network between them, and whatever else a test adds, on the calling thread. Code of
/// the library runs in it unchanged; docs/SIMULATION.md tells what is simulated and how faithfully.
///
/// While the world lives, the system calls of the library that are made on its thread belong to it. The
/// newest of several worlds, which has them then, is the first one that is destroyed. thread: the one that
/// made it
class World {
 public:
  explicit World(const WorldOptions& options = {});
  World(World&&) = delete;
  ~World();

  /// Its workers, which are running: serve() and spawn() take them as always.
  [[nodiscard]] WorkerPool& pool() noexcept;
  [[nodiscard]] Worker& worker(std::size_t index = 0) noexcept { return pool()[index]; }

  /// Runs `main` on the first worker until it has ended. Then it stops the workers, and looks whether
  /// everything has ended. A world runs one program.
  /// errors: an exception of `main`, or of a function of after(), comes out here
  RunReport run(Task<void> main);

  /// Calls `main` as a plain thread does that makes its own workers: it may use pool(), sync_wait() and
  /// serve().
  RunReport run(const std::function<void()>& main);

  /// Calls `function` as another thread would, `delay` after now. It may post to workers, and must not wait.
  /// errors: if it throws, the workers are asked to stop, and the exception comes out of run()
  void after(AnyDuration delay, std::move_only_function<void()> function);

  /// Gives a host its addresses, such as "10.0.0.7" or "fd00::7": lookup() finds them. "localhost" and
  /// numbers are known already; every other name ends with EAI_NONAME, or with EAI_AGAIN if lookup_fails
  /// strikes.
  void name_host(const std::string& host, std::vector<std::string> addresses);

  /// Sends the program a signal, as kill(2) does. A Signals object has to have blocked it; one that is
  /// ignored by default (SIGCHLD, SIGCONT, SIGURG, SIGWINCH) is lost otherwise. Equal signals that nobody has
  /// taken yet count once, also the real-time ones. errors: throws std::logic_error if none has blocked it,
  /// because the signal ends the program then
  void send_signal(int signal);

  /// Says what a child process does that Child::spawn() starts. Without it, or if it returns nothing, there
  /// is no such program (ENOENT).
  void on_spawn(std::function<std::optional<ChildPlan>(const std::vector<std::string>& arguments)> plan);

  /// Returns what is known of the run so far. run() returns it at the end.
  [[nodiscard]] RunReport report() const;

  /// Lets no more faults strike.
  void end_faults() noexcept;

  /// Puts a number of the program into the log, and so into the hash and the diagram.
  void note(std::int32_t number) noexcept;

  /// Returns how many operations the kernel has taken so far.
  [[nodiscard]] std::uint64_t operations() const noexcept;
  /// Returns the simulated time since the world began.
  [[nodiscard]] std::chrono::nanoseconds elapsed() const noexcept;
  /// Returns a number that the seed decides, below `end`.
  [[nodiscard]] std::uint64_t draw(std::uint64_t end) noexcept;
  /// Returns how many simulated descriptors are open, without those of the workers.
  [[nodiscard]] std::size_t open_descriptors() const noexcept;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace corering::sim
