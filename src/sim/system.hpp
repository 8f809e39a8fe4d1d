/// system.hpp — the simulated operating system: descriptors, time, what is on its way, and the numbers that
/// decide.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <corering/base/outside.hpp>
#include <corering/sim/faults.hpp>

#include "sim/file_system.hpp"
#include "sim/log.hpp"
#include "sim/machine.hpp"
#include "sim/object.hpp"
#include "sim/objects.hpp"
#include "sim/random.hpp"

namespace corering::sim {

/// thread: the one that made it
class System final : public Outside {
 public:
  /// keep alive: `files`
  System(std::uint64_t seed, const Faults& faults, FileSystem& files) noexcept;
  System(System&&) = delete;
  ~System() override;

  // ---- what decides ----
  [[nodiscard]] Random& random() noexcept { return random_; }
  [[nodiscard]] const Faults& faults() const noexcept { return faults_; }
  void end_faults() noexcept { has_faults_ = false; }
  /// Draws whether a fault strikes here, and counts it.
  [[nodiscard]] bool strikes(Fault fault) noexcept {
    const FaultRule& rule = faults_[fault];
    return has_faults_ && rule.one_in != 0 && rule.hits < rule.budget &&
           random_of(fault).one_in(rule.one_in) && hit(fault);
  }
  /// Returns a number below `end` for a fault that has struck.
  [[nodiscard]] std::uint64_t draw(Fault fault, std::uint64_t end) noexcept {
    return random_of(fault).below(end);
  }
  /// Returns `most`, or less if the fault strikes, but at least 1.
  [[nodiscard]] std::size_t cut_short(Fault fault, std::size_t most) noexcept {
    return most > 1 && strikes(fault) ? 1 + random_of(fault).below(most - 1) : most;
  }

  // ---- what happens ----
  void note(Happening::Kind kind, std::int32_t what = 0, int fd = -1, std::int32_t result = 0) noexcept;
  [[nodiscard]] const Log& log() const noexcept { return log_; }
  void set_worker(std::size_t worker) noexcept { worker_ = static_cast<std::uint16_t>(worker); }

  void count_operations(int taken) noexcept { operations_ += taken > 0 ? static_cast<unsigned>(taken) : 0; }
  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }

  // ---- time ----
  [[nodiscard]] TimePoint now() const noexcept override { return TimePoint(Duration(epoch + now_)); }
  [[nodiscard]] std::int64_t nanoseconds() const noexcept { return epoch + now_; }
  [[nodiscard]] std::int64_t since_begin() const noexcept { return now_; }
  /// The clock that somebody may set.
  [[nodiscard]] std::int64_t wall_clock() const noexcept { return nanoseconds() + stepped_; }
  void step_wall_clock(std::int64_t by) noexcept { stepped_ += by; }
  void pass(std::int64_t nanoseconds) noexcept { now_ += nanoseconds; }

  /// Something that will happen to an object, or to a watch.
  struct Plan {
    std::int64_t at = 0;
    std::uint64_t order = 0;
    void (*happens)(System&, Plan&) = nullptr;
    std::shared_ptr<Object> object = nullptr;
    Watch* watch = nullptr;
    std::uint64_t number = 0;
    std::uint64_t place = 0;
  };
  void plan(std::int64_t in_nanoseconds, Plan plan);
  /// Makes everything happen that is due. Returns false if nothing was.
  bool happen();
  /// Returns when the next thing happens, in nanoseconds since the beginning.
  [[nodiscard]] std::optional<std::int64_t> next_plan() const noexcept;
  void jump_to(std::int64_t at) noexcept;

  // ---- files ----
  [[nodiscard]] FileSystem& files() noexcept { return files_; }
  /// After so many changes of files the power goes off; 0: never.
  void cut_power_after(std::uint64_t changes) noexcept { power_cut_ = changes; }
  void count_for_power_cut() noexcept {
    if (++file_changes_ == power_cut_) cut_power();
  }

  // ---- descriptors ----
  /// Returns a new descriptor, or -EMFILE.
  int open(std::shared_ptr<Object> object);
  /// From now on there is no free descriptor, or there is again.
  void let_open(bool may_open) noexcept { may_open_ = may_open; }
  [[nodiscard]] bool may_open() const noexcept { return may_open_; }
  [[nodiscard]] const std::shared_ptr<Object>* find(int fd) const noexcept;
  [[nodiscard]] std::size_t open_descriptors() const noexcept { return open_; }
  void use(Object& object) noexcept { ++object.uses; }
  void release(Object& object) noexcept;
  int close(int fd) noexcept override;
  int duplicate(int fd);
  /// Finds where a path leads that is below an open directory, or AT_FDCWD. Returns 0 or -errno.
  int resolve(int directory, const char* path, Path& into) const;
  /// Returns the place that a descriptor has among those of this world; of another number, the number.
  [[nodiscard]] int place_of(int fd) const noexcept { return fd >= base_ ? fd - base_ : fd; }

  // ---- waiting ----
  [[nodiscard]] Watch& make_watch();
  void give_back(Watch& watch) noexcept;
  /// What the object shows may have changed.
  void changed(Object& object);

  // ---- names of sockets ----
  int bind(Socket& socket, const Name& name);
  void unbind(Socket& socket) noexcept;
  /// Returns who has this name, or null; one of them if several have it.
  [[nodiscard]] Socket* find_name(const Socket& asker, const Name& name) noexcept;
  int begin_connect(const std::shared_ptr<StreamSocket>& socket, const Name& name);
  void end_connection(StreamSocket& socket, Ending how);
  int stop_listening(StreamSocket& socket);
  /// Lets those connect that have waited for room in the line.
  void let_connect(StreamSocket& listener);
  int datagram_pair(int* ends);
  int connect_datagram(DatagramSocket& socket, const Name& name);
  /// Returns 0 if a Unix socket of the asker's kind may be there, or -errno.
  [[nodiscard]] int check_path(const Socket& asker, const Name& name) const;

  // ---- what the library asks beside the rings ----
  [[nodiscard]] Kernel* kernel() const noexcept override { return kernel_; }
  void set_kernel(Kernel& kernel) noexcept { kernel_ = &kernel; }
  int socket(int family, int type) noexcept override;
  int socket_pair(int type, int* ends) noexcept override;
  int pipe(int* ends) noexcept override;
  int bind(int fd, const sockaddr* name, socklen_t length) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int connect(int fd, const sockaddr* name, socklen_t length) noexcept override;
  int set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept override;
  int get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept override;
  int local_name(int fd, sockaddr* name, socklen_t* length) noexcept override;
  int peer_name(int fd, sockaddr* name, socklen_t* length) noexcept override;
  void wait_for(bool (*has_come)(const void*), const void* what) noexcept override;

  /// Who makes the world go on while a plain thread waits.
  struct Driver {
    virtual ~Driver() = default;
    virtual void wait_for(bool (*has_come)(const void*), const void* what) noexcept = 0;
  };
  void set_driver(Driver* driver) noexcept { driver_ = driver; }

  // ---- other threads, names, signals, children ----
  [[nodiscard]] Machine& machine() noexcept { return machine_; }
  void run_elsewhere(std::move_only_function<void()> job) override { machine_.run_elsewhere(std::move(job)); }
  int look_up(const std::string& host, const std::string& service,
              const std::function<void(const sockaddr*, socklen_t)>& found) override {
    return machine_.look_up(host, service, found);
  }
  int list_directory(int at, const char* path,
                     const std::function<void(const std::string&, bool)>& found) override {
    return machine_.list_directory(at, path, found);
  }
  int signal_descriptor(std::uint64_t signals) override { return machine_.signal_descriptor(signals); }
  int start_child(const std::vector<std::string>& arguments, ChildStreams& streams, int& pid) override {
    return machine_.start_child(arguments, streams, pid);
  }
  int signal_child(int pidfd, int signal) override { return machine_.signal_child(pidfd, signal); }
  void remove_stale_socket(const sockaddr* name, socklen_t length) override;
  [[nodiscard]] static std::pair<std::shared_ptr<PipeEnd>, std::shared_ptr<PipeEnd>> make_pipe();

 private:
  static constexpr std::int64_t epoch = 1'000'000'000'000;  // so that times before the beginning exist

  [[nodiscard]] std::shared_ptr<Inode> socket_file(const Name& name) const;
  [[nodiscard]] std::string key_of(const Socket& socket, const Name& name) const;
  int make_socket_file(Socket& socket, const Name& name);
  [[nodiscard]] bool has_connections_at(const Socket& socket, const Name& name) const noexcept;
  bool hit(Fault fault) noexcept;
  void cut_power() noexcept;
  /// Each kind has numbers of its own, so that the others stay as they are when it is switched off.
  [[nodiscard]] Random& random_of(Fault fault) noexcept {
    return fault_randoms_[static_cast<std::size_t>(fault)];
  }

  const int base_;  ///< of its descriptors: those that outlive their world are none of the next one's
  Random random_;
  std::array<Random, fault_count> fault_randoms_;
  Faults faults_;
  bool has_faults_ = true;
  FileSystem& files_;
  std::uint64_t file_changes_ = 0;
  std::uint64_t power_cut_ = 0;
  Log log_;
  std::uint64_t operations_ = 0;
  std::uint16_t worker_ = 0;
  std::int64_t now_ = 0;
  std::int64_t stepped_ = 0;  // so far the wall clock has been set away

  std::vector<Plan> plans_;  // a heap, the next one on top
  std::uint64_t planned_ = 0;

  std::vector<std::shared_ptr<Object>> table_;
  std::size_t lowest_free_ = 0;  // none below it is free
  bool may_open_ = true;
  const bool tells_newest_first_;  ///< as Linux does; or who waits longest
  std::vector<Watch*> told_;       ///< scratch of changed()
  std::size_t open_ = 0;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<Watch*> spare_watches_;

  std::map<std::string, std::vector<Socket*>> names_;
  std::uint16_t next_port_ = 32768;
  Machine machine_{*this};
  Driver* driver_ = nullptr;
  Kernel* kernel_ = nullptr;
};

}  // namespace corering::sim
