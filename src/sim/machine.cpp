/// machine.cpp — other threads, names of hosts, signals and child processes.
#include "sim/machine.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <netdb.h>
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

/// Tells the addresses of a number, or of this machine for listening; asks nobody else. Returns 0 or EAI_*.
int tell_numeric(const char* host, int port, const AddressFound& found) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  if (const int error = ::getaddrinfo(host, std::to_string(port).c_str(), &hints, &all); error != 0)
    return error;
  for (const addrinfo* one = all; one != nullptr; one = one->ai_next) found(one->ai_addr, one->ai_addrlen);
  ::freeaddrinfo(all);
  return 0;
}

}  // namespace

void Machine::name_host(const std::string& host, std::vector<std::string> addresses) {
  for (const std::string& address : addresses)
    CORERING_ASSERT(tell_numeric(address.c_str(), 0, [](const sockaddr*, socklen_t) {}) == 0,
                    "the address of a host is a number, such as 10.0.0.7 or fd00::7");
  hosts_[host] = std::move(addresses);
}

int Machine::look_up(const std::string& host, const std::string& service, const AddressFound& found) {
  const int port = port_of(service);
  if (port < 0) return EAI_SERVICE;
  const int numeric = tell_numeric(host.empty() ? nullptr : host.c_str(), port, found);
  if (numeric != EAI_NONAME) return numeric;
  if (system_.strikes(Fault::lookup_fails)) return EAI_AGAIN;
  const auto named = hosts_.find(host);
  if (named == hosts_.end()) return EAI_NONAME;
  for (const std::string& address : named->second) (void)tell_numeric(address.c_str(), port, found);
  return 0;
}

// ---- directories ----

int Machine::list_directory(int at, const char* path,
                            const std::function<void(const std::string&, bool)>& found) {
  if (system_.files().is_off()) return -EIO;
  const std::string whole = system_.path_of(at, path);
  const std::shared_ptr<Inode> directory = system_.files().find(whole);
  if (directory == nullptr) return -ENOENT;
  if (!directory->is_directory) return -ENOTDIR;
  for (const auto& [name, is_directory] : system_.files().entries(whole)) found(name, is_directory);
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
  if (!system_.may_open() || system_.strikes(Fault::emfile)) return -EMFILE;
  const auto file = std::make_shared<SignalFile>(signals, pending_signals_);
  blocked_signals_ |= signals;
  std::erase_if(signal_files_, [](const std::weak_ptr<Object>& one) { return one.expired(); });
  signal_files_.push_back(file);
  return system_.open(file);
}

void Machine::send_signal(int signal) {
  CORERING_ASSERT((blocked_signals_ & bit_of(signal)) != 0,
                  "no Signals object has blocked this signal, which would end the program");
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

int Machine::start_child(const std::vector<std::string>& arguments, ChildStreams& streams, int& pid) {
  std::optional<ChildPlan> what = on_spawn_ != nullptr ? on_spawn_(arguments) : std::nullopt;
  if (!what) return -ENOENT;
  if (!system_.may_open() || system_.strikes(Fault::emfile)) return -EMFILE;
  const auto child = std::make_shared<ChildProcess>(std::move(*what));
  pid = child->pid = next_pid_++;
  for (std::size_t i = 0; i < streams.are_pipes.size(); ++i) {
    if (!streams.are_pipes[i]) continue;
    const auto [reader, writer] = System::make_pipe();
    const bool child_reads = i == 0;
    child->streams[i] = child_reads ? reader : writer;
    child->streams[i]->child = child;
    system_.use(*child->streams[i]);
    streams.ours[i] = system_.open(child_reads ? writer : reader);
  }
  system_.note(Happening::Kind::child, pid);
  child->ends_at = system_.since_begin() + Duration(child->plan.runs_for).count();
  const auto goes_on = [](System& system, System::Plan& plan) {
    system.machine().go_on_soon(static_cast<ChildProcess&>(*plan.object));
  };
  system_.plan(Duration(child->plan.runs_for).count(), {.happens = goes_on, .object = child});
  go_on_soon(*child);
  return system_.open(child);
}

namespace {

/// Returns true if somebody who writes or reads is at the other end.
bool is_open_to(const PipeEnd& end) noexcept { return end.other != nullptr && !end.other->is_closed; }

}  // namespace

// Returns what is left. A child that writes to nobody is ended by that.
std::size_t Machine::let_write(ChildProcess& child, std::size_t stream, const std::string& text) {
  PipeEnd* const end = child.streams[stream].get();
  std::size_t& written = child.written[stream];
  if (end == nullptr || written == text.size()) return 0;
  if (!is_open_to(*end)) {
    child.killed_by = SIGPIPE;
    return 0;
  }
  PipeEnd& reader = *end->other;
  const std::size_t room = std::min(PipeEnd::capacity - reader.bytes.size(), text.size() - written);
  const std::size_t now = room > 1 ? 1 + system_.random().below(room) : room;
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
  const std::size_t left = let_write(child, 1, child.plan.output) + let_write(child, 2, child.plan.error);
  const bool waits_for_input = child.plan.reads_to_the_end && input != nullptr && is_open_to(*input);
  const bool is_done = left == 0 && !waits_for_input && system_.since_begin() >= child.ends_at;
  if (child.killed_by || is_done) end(child);
}

void Machine::end(ChildProcess& child) {
  if (!child.killed_by) child.killed_by = child.plan.signal;
  system_.note(Happening::Kind::child, child.pid, -1, child.killed_by ? -*child.killed_by : child.plan.code);
  child.state = ChildProcess::State::ended;
  for (std::shared_ptr<PipeEnd>& stream : child.streams)
    if (const std::shared_ptr<PipeEnd> end = std::move(stream); end != nullptr) system_.release(*end);
  system_.changed(child);
  if ((blocked_signals_ & bit_of(SIGCHLD)) != 0) send_signal(SIGCHLD);
}

int Machine::signal_child(int pidfd, int signal) {
  const std::shared_ptr<Object>* const found = system_.find(pidfd);
  if (found == nullptr || (*found)->kind != Object::Kind::process) return -EBADF;
  auto& child = static_cast<ChildProcess&>(**found);
  if (signal < 0 || signal > 64) return -EINVAL;
  if (child.state == ChildProcess::State::waited) return -ESRCH;
  const bool is_ignored =
      signal == 0 || signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH;
  if (child.has_ended() || is_ignored) return 0;
  if (!child.killed_by) child.killed_by = signal;
  go_on_soon(child);
  return 0;
}

}  // namespace corering::sim
