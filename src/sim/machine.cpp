/// machine.cpp — other threads, names of hosts, signals and child processes.
#include "sim/machine.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <utility>

#include <corering/base/assert.hpp>

#include "sim/child_process.hpp"
#include "sim/signal_file.hpp"
#include "sim/system.hpp"

namespace corering::sim {

// ---- other threads ----

void Machine::call_after(std::int64_t nanoseconds, std::move_only_function<void()> function) {
  const std::uint64_t number = calls_made_++;
  calls_.emplace(number, std::move(function));
  const auto runs = [](System& system, System::Plan& plan) { system.machine().run_call(plan.number); };
  system_.plan(nanoseconds, {.happens = runs, .number = number});
}

void Machine::run_call(std::uint64_t number) {
  auto found = calls_.extract(number);
  if (found.empty()) return;  // it was forgotten
  system_.note(Happening::Kind::outside, static_cast<std::int32_t>(number));
  found.mapped()();
}

void Machine::run_elsewhere(std::move_only_function<void()> job) {
  constexpr std::uint64_t usual = 200'000, slow = 2'000'000'000;
  const bool is_slow = system_.strikes(Fault::slow_uncancellable);
  const std::uint64_t time =
      is_slow ? system_.draw(Fault::slow_uncancellable, slow) : system_.random().below(usual);
  call_after(static_cast<std::int64_t>(time), std::move(job));
}

// ---- names of machines ----

namespace {

/// Returns the port of a service, or -1.
int port_of(const std::string& service) {
  if (service == "http") return 80;
  if (service == "https") return 443;
  const bool is_number = !service.empty() && service.size() <= 5 &&
                         std::ranges::all_of(service, [](char c) { return c >= '0' && c <= '9'; });
  const int port = is_number ? std::stoi(service) : -1;
  return port <= 65535 ? port : -1;
}

using AddressFound = std::function<void(const sockaddr*, socklen_t)>;

void tell(in_addr number, int port, const AddressFound& found) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr = number;
  found(reinterpret_cast<const sockaddr*>(&name), sizeof name);
}
void tell(const in6_addr& number, int port, const AddressFound& found) {
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(static_cast<std::uint16_t>(port));
  name.sin6_addr = number;
  found(reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

/// Tells the address that is written as a number. Returns false if it is none.
bool tell_number(const std::string& host, int port, const AddressFound& found) {
  in_addr number{};
  in6_addr long_number{};
  const bool is_short = ::inet_pton(AF_INET, host.c_str(), &number) == 1;
  const bool is_long = !is_short && ::inet_pton(AF_INET6, host.c_str(), &long_number) == 1;
  if (is_short) tell(number, port, found);
  if (is_long) tell(long_number, port, found);
  return is_short || is_long;
}

}  // namespace

void Machine::name_host(const std::string& host, std::vector<std::string> addresses) {
  for (const std::string& address : addresses)
    CORERING_ASSERT(tell_number(address, 0, [](const sockaddr*, socklen_t) {}),
                    "the address of a host is a number, such as 10.0.0.7 or fd00::7");
  hosts_[host] = std::move(addresses);
}

int Machine::look_up(const std::string& host, const std::string& service, const AddressFound& found) {
  const int port = port_of(service);
  if (port < 0) return EAI_SERVICE;
  if (host.empty()) {  // this machine, for listening
    tell(in_addr{INADDR_ANY}, port, found);
    tell(in6addr_any, port, found);
    return 0;
  }
  if (tell_number(host, port, found)) return 0;
  if (system_.strikes(Fault::lookup_fails)) return EAI_AGAIN;
  const auto named = hosts_.find(host);
  if (named == hosts_.end()) return EAI_NONAME;
  for (const std::string& address : named->second) (void)tell_number(address, port, found);
  return 0;
}

// ---- directories ----

int Machine::list_directory(int at, const char* path,
                            const std::function<void(const std::string&, bool)>& found) {
  if (system_.files().is_off() || system_.strikes(Fault::eio)) return -EIO;
  if (system_.strikes(Fault::emfile)) return -EMFILE;
  Path whole;
  std::shared_ptr<Inode> directory;
  if (const int error = system_.resolve(at, path, whole); error < 0) return error;
  if (const int error = system_.files().look_up(whole, directory); error < 0) return error;
  if (!directory->is_directory) return -ENOTDIR;
  for (const auto& [name, is_directory] : system_.files().entries(whole.whole)) found(name, is_directory);
  return 0;
}

// ---- signals ----

namespace {

std::uint64_t bit_of(int signal) noexcept {
  CORERING_ASSERT(signal >= 1 && signal <= 64, "there are 64 signals");
  return std::uint64_t{1} << (signal - 1);
}

}  // namespace

int Machine::signal_descriptor(std::uint64_t signals) {
  blocked_signals_ |= signals;  // as when signalfd(2) fails after sigprocmask(2)
  if (!system_.may_open() || system_.strikes(Fault::emfile)) return -EMFILE;
  const auto file = std::make_shared<SignalFile>(signals, pending_signals_);
  std::erase_if(signal_files_, [](const std::weak_ptr<Object>& one) { return one.expired(); });
  signal_files_.push_back(file);
  return system_.open(file);
}

namespace {

/// What the system does with a signal that nobody handles: nothing.
bool is_ignored_by_default(int signal) noexcept {
  return signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH;
}

}  // namespace

void Machine::send_signal(int signal) {
  if ((blocked_signals_ & bit_of(signal)) == 0 && is_ignored_by_default(signal)) return;
  if ((blocked_signals_ & bit_of(signal)) == 0)
    throw std::logic_error("signal " + std::to_string(signal) +
                           " has ended the program: no Signals object had blocked it");
  system_.note(Happening::Kind::signal, signal);
  pending_signals_ |= bit_of(signal);
  for (const std::weak_ptr<Object>& one : signal_files_)
    if (const std::shared_ptr<Object> file = one.lock(); file != nullptr) system_.changed(*file);
}

void Machine::take_signal(int signal) noexcept { pending_signals_ &= ~bit_of(signal); }

// ---- children ----

void Machine::go_on_soon(ChildProcess& child) {
  if (child.goes_on_soon || child.has_ended()) return;
  child.goes_on_soon = true;
  const auto goes_on = [](System& system, System::Plan& plan) {
    auto& itself = static_cast<ChildProcess&>(*plan.object);
    itself.goes_on_soon = false;
    system.machine().let_go_on(itself);
  };
  system_.plan(static_cast<std::int64_t>(system_.random().below(100'000)),
               {.happens = goes_on, .object = child.shared_from_this()});
}

namespace {

/// Makes a pipe, of which the child has one end. Returns our end, or -EMFILE.
int give_stream(System& system, const std::shared_ptr<ChildProcess>& child, std::size_t stream) {
  const auto [reader, writer] = System::make_pipe();
  const bool child_reads = stream == 0;
  const std::shared_ptr<PipeEnd>& its_end = child->streams[stream] = child_reads ? reader : writer;
  its_end->child = child;
  system.use(*its_end);
  return system.open(child_reads ? writer : reader);
}

}  // namespace

int Machine::start_child(const std::vector<std::string>& arguments, ChildStreams& streams, int& pid) {
  std::optional<ChildPlan> what = on_spawn_ != nullptr ? on_spawn_(arguments) : std::nullopt;
  if (!what) return -ENOENT;
  if (system_.strikes(Fault::emfile)) return -EMFILE;
  const auto child = std::make_shared<ChildProcess>(std::move(*what));
  const int pidfd = system_.open(child);
  bool has_all = pidfd >= 0;
  for (std::size_t i = 0; i < streams.are_pipes.size() && has_all; ++i) {
    if (streams.are_pipes[i]) streams.ours[i] = give_stream(system_, child, i);
    has_all = !streams.are_pipes[i] || streams.ours[i] >= 0;
  }
  if (!has_all) {
    close_streams(*child);
    for (const int fd : {pidfd, streams.ours[0], streams.ours[1], streams.ours[2]}) (void)system_.close(fd);
    return -EMFILE;
  }
  pid = child->pid = next_pid_++;
  children_.push_back(child);
  begin(child);
  return pidfd;
}

void Machine::begin(const std::shared_ptr<ChildProcess>& child) {
  system_.note(Happening::Kind::child, child->pid);
  const auto time = std::max(Duration(child->plan.runs_for), Duration::zero());
  child->ends_at = saturating_add(system_.now(), time);
  const auto goes_on = [](System& system, System::Plan& plan) {
    system.machine().go_on_soon(static_cast<ChildProcess&>(*plan.object));
  };
  system_.plan(time.count(), {.happens = goes_on, .object = child});
  go_on_soon(*child);
}

void Machine::close_streams(ChildProcess& child) {
  for (std::shared_ptr<PipeEnd>& stream : child.streams)
    if (const std::shared_ptr<PipeEnd> end = std::move(stream); end != nullptr) system_.release(*end);
}

namespace {

/// Returns true if somebody who writes or reads is at the other end.
bool is_open_to(const PipeEnd& end) noexcept { return end.other != nullptr && !end.other->is_closed; }

}  // namespace

// Returns what is left. A child that writes to nobody is ended by that.
std::size_t Machine::let_write(ChildProcess& child, std::size_t stream, const std::string& text) {
  PipeEnd* const end = child.streams[stream].get();
  std::size_t& written = child.written[stream];
  if (child.killed_by || end == nullptr || written == text.size()) return 0;
  if (!is_open_to(*end)) {
    child.killed_by = SIGPIPE;
    return 0;
  }
  PipeEnd& reader = *end->other;
  const std::size_t room = std::min(PipeEnd::capacity - reader.bytes.size(), text.size() - written);
  const std::size_t now = room > 1 ? 1 + system_.random().below(room) : room;
  CORERING_ASSERT(now <= room && written + now <= text.size(),
                  "a child writes what it has, where there is room");
  reader.bytes.append(text.data() + written, now);
  reader.bytes.arrive(now);
  written += now;
  if (now > 0) system_.changed(reader);
  if (now > 0 && now < room) go_on_soon(child);  // the rest of what there is room for
  return text.size() - written;
}

void Machine::let_go_on(ChildProcess& child) {
  if (child.has_ended()) return;
  PipeEnd* const input = child.streams[0].get();
  if (input != nullptr && input->bytes.arrived() > 0) {
    input->bytes.consume(input->bytes.arrived());
    if (input->other != nullptr) system_.changed(*input->other);
  }
  std::size_t left = let_write(child, 1, child.plan.output);
  left += let_write(child, 2, child.plan.error);
  const bool waits_for_input = child.plan.reads_to_the_end && input != nullptr && is_open_to(*input);
  const bool is_done = left == 0 && !waits_for_input && system_.now() >= child.ends_at;
  if (child.killed_by || is_done) end(child);
}

void Machine::end(ChildProcess& child) {
  CORERING_ASSERT(!child.has_ended(), "a child ends once");
  if (!child.killed_by) child.killed_by = child.plan.signal;
  system_.note(Happening::Kind::child, child.pid, -1, child.killed_by ? -*child.killed_by : child.plan.code);
  child.state = ChildProcess::State::ended;
  close_streams(child);
  system_.changed(child);
  send_signal(SIGCHLD);
}

int Machine::signal_child(int pidfd, int signal) {
  const std::shared_ptr<Object>* const found = system_.find(pidfd);
  if (found == nullptr || (*found)->kind != Object::Kind::process) return -EBADF;
  auto& child = static_cast<ChildProcess&>(**found);
  if (signal < 0 || signal > 64) return -EINVAL;
  if (child.state == ChildProcess::State::waited) return -ESRCH;
  if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) return -EOPNOTSUPP;
  if (child.has_ended() || signal == 0 || is_ignored_by_default(signal)) return 0;
  if (!child.killed_by) child.killed_by = signal;
  go_on_soon(child);
  return 0;
}

ChildProcess* Machine::find_child(int pid) noexcept {
  for (const std::shared_ptr<ChildProcess>& child : children_)
    if (child->pid == pid) return child.get();
  return nullptr;
}

void Machine::forget_child(const ChildProcess& waited) {
  std::erase_if(children_, [&waited](const auto& child) { return child.get() == &waited; });
}

}  // namespace corering::sim
