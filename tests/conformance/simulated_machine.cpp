/// simulated_machine.cpp — the simulated system as scripts use it: their system calls let it go on until they
/// have ended.
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sys/socket.h>

#include <corering/base/assert.hpp>
#include <corering/sim/disk.hpp>

#include "conformance/machine.hpp"
#include "conformance/requests.hpp"
#include "sim/calls.hpp"
#include "sim/file_system.hpp"
#include "sim/sim_kernel.hpp"
#include "sim/system.hpp"

namespace corering::conformance {
namespace {

using sim::FileSystem;

/// What goes wrong is up to the script; the seed decides times and orders.
class SimulatedMachine final : public Machine {
 public:
  SimulatedMachine(std::uint64_t seed, const sim::Faults& faults) : system_(seed, faults, disk_.files()) {
    (void)kernel_.known_capabilities();  // found out on the emulated kernel, with real descriptors
    before_ = os::set_outside(&system_);
  }
  ~SimulatedMachine() override { os::set_outside(before_); }
  Kernel& kernel() noexcept override { return kernel_; }
  void settle() override;

  int eventfd() override { return kernel_.open_eventfd(); }
  int accept(int listener) override { return call(conformance::accept(0, listener)); }
  int connect(int fd, const sockaddr* where, socklen_t length) override {
    return call(conformance::connect(0, fd, where, length));
  }
  int open(const char* path, int flags) override { return call(openat(0, path, flags)); }
  int read(int fd, std::span<char> into) override {
    Entry entry = about(0, Opcode::read, fd, into.data(), into.size());
    entry.sqe.off = at_position;
    return call(entry);
  }
  int write(int fd, std::string_view from) override { return call(conformance::write(0, fd, from)); }
  int write_at_begin(int fd, std::string_view from) override {
    return call(conformance::write(0, fd, from, 0));
  }
  int receive_now(int fd, std::span<char> into) override {
    return call(about(0, Opcode::recv, fd, into.data(), into.size()).flags(MSG_DONTWAIT));
  }
  int send_now(int fd, std::string_view from) override {
    return call(conformance::send(0, fd, from, MSG_DONTWAIT));
  }

  bool is_open(int fd) override { return system_.find(fd) != nullptr; }
  bool is_closed_on_exec(int fd) override { return is_open(fd); }  // there are no other programs
  void set_nonblocking(int fd, bool is_so) override { object(fd).is_nonblocking = is_so; }
  bool is_nonblocking(int fd) override { return object(fd).is_nonblocking; }
  std::size_t size_of_pipe(int /*fd*/) override { return sim::PipeEnd::capacity; }
  void let_open(bool may_open) override { system_.let_open(may_open); }

  std::string new_directory() override { return "/"; }
  bool exists(const char* path) override { return find(path) != nullptr; }
  std::string content_of(const char* path) override { return exists(path) ? find(path)->now : ""; }
  std::size_t size_of_file(int fd) override {
    return dynamic_cast<sim::OpenFile&>(object(fd)).inode->now.size();
  }

  Duration now_of(clockid_t /*clock*/) override { return Duration(system_.nanoseconds()); }

 private:
  sim::Object& object(int fd) { return **system_.find(fd); }
  std::shared_ptr<sim::Inode> find(const char* path) { return disk_.files().follow(path); }
  int call(const Entry& entry);
  void go_on();

  sim::Disk disk_;
  sim::System system_;
  sim::SimKernel kernel_{system_};
  Outside* before_ = nullptr;
};

// What a thread does that may block.
int SimulatedMachine::call(const Entry& entry) {
  settle();
  emulation::Call call;
  call.sqe = entry.sqe;
  const std::shared_ptr<sim::Object>* const found = system_.find(entry.sqe.fd);
  const std::shared_ptr<sim::Object> object = found == nullptr ? nullptr : *found;
  for (;;) {
    const emulation::Answer answer = sim::attempt_call(system_, object, call, true);
    if (answer.kind == emulation::Answer::Kind::done) {
      settle();
      return answer.result;
    }
    go_on();
  }
}

void SimulatedMachine::go_on() {
  const std::optional<std::int64_t> next = system_.next_plan();
  CORERING_ASSERT(next.has_value(), "what a script waits for outside of its ring comes");
  system_.jump_to(std::max(*next, system_.since_begin()));
  (void)system_.happen();
}

void SimulatedMachine::settle() {
  const std::int64_t soon = system_.since_begin() + 1'000'000;
  while (system_.next_plan().value_or(INT64_MAX) <= soon) go_on();
}

}  // namespace

std::unique_ptr<Machine> simulated_machine(std::uint64_t seed, const sim::Faults& faults) {
  return std::make_unique<SimulatedMachine>(seed, faults);
}

}  // namespace corering::conformance
