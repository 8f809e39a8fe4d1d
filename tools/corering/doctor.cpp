/// doctor.cpp — the examinations. Each is a function that returns what it found.
#include "doctor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <corering/corering.hpp>

#include "common/text.hpp"
#include "common/timer_check.hpp"
#include "iotrace/kernel_lane.hpp"

namespace corering_tool {
namespace {

using namespace corering;
using tools::json_string;
using tools::printable;
using State = Finding::State;

std::string kibibytes(rlim_t bytes) {
  return bytes == RLIM_INFINITY ? "unlimited" : std::to_string(bytes / 1024) + " KiB";
}

std::string count(rlim_t number) { return number == RLIM_INFINITY ? "unlimited" : std::to_string(number); }

/// Returns a whole file of /proc without its newline, or an empty text if it cannot be read.
std::string read_proc(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string seccomp_mode() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("Seccomp:")) return line.substr(line.find_last_of(" \t") + 1);
  }
  return std::to_string(::prctl(PR_GET_SECCOMP));
}

/// A file that is always there to be read: this program. Without /proc it has the name that it was called by.
const char* own_program() {
  constexpr const char* link = "/proc/self/exe";
  return ::access(link, R_OK) == 0 ? link : reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
}

Finding examine_system() {
  utsname system{};
  ::uname(&system);
  return {.name = "system", .says = std::string(system.sysname) + " " + system.release};
}

/// Returns the errno for which io_uring is refused, or 0.
int refusal_of_io_uring() {
  RingParams smallest{.sq_entries = 1};
  std::unique_ptr<KernelRing> ring;
  return -std::min(0, real_kernel().open_ring(smallest, ring));
}

/// Returns true if CORERING_KERNEL=auto takes the emulation because of this refusal.
bool makes_auto_emulate(int refusal) { return refusal == EPERM || refusal == EACCES || refusal == ENOSYS; }

/// Returns true if programs that choose by themselves, as iotrace does, run on the emulation here.
bool is_emulated_by_choice() {
  const auto choice = kernel_choice_in_environment().value_or(KernelChoice::automatic);
  return choice == KernelChoice::emulated ||
         (choice == KernelChoice::automatic && makes_auto_emulate(refusal_of_io_uring()));
}

std::string refused(int error) { return "io_uring is refused (" + std::string(std::strerror(error)) + ")"; }

Finding examine_kernel() {
  if (!wrong_kernel_name().empty()) {
    return {.name = "kernel",
            .state = State::broken,
            .says = "CORERING_KERNEL names '" + std::string(wrong_kernel_name()) + "', which is no kernel",
            .advice = "unset CORERING_KERNEL, or set it to io_uring, emulated or auto"};
  }
  const KernelChoice choice = kernel_choice_in_environment().value_or(KernelChoice::io_uring);
  if (choice == KernelChoice::emulated) {
    return {.name = "kernel",
            .state = State::worse,
            .says = "workers use the emulation of io_uring, because CORERING_KERNEL is emulated",
            .advice = "unset CORERING_KERNEL where io_uring is allowed: it is faster"};
  }
  const int error = refusal_of_io_uring();
  if (error == 0) return {.name = "kernel", .says = "workers use io_uring"};
  if (choice == KernelChoice::automatic && makes_auto_emulate(error)) {
    return {.name = "kernel",
            .state = State::worse,
            .says = "workers use the emulation of io_uring, because " + refused(error) +
                    " and CORERING_KERNEL is auto",
            .advice = "allow io_uring (the seccomp profile, kernel.io_uring_disabled): it is faster"};
  }
  return {.name = "kernel",
          .state = State::broken,
          .says = "workers use io_uring, but " + refused(error),
          .advice = makes_auto_emulate(error)
                        ? "programs can run with CORERING_KERNEL=auto: on the emulation, which is slower"
                        : "CORERING_KERNEL=emulated needs no io_uring, and is slower"};
}

Finding examine_sysctl() {
  const std::string value = read_proc("/proc/sys/kernel/io_uring_disabled");
  Finding finding{.name = "sysctl"};
  if (value.empty() && ::access("/proc/sys", F_OK) != 0) {
    finding.says = "there is no /proc, so whether kernel.io_uring_disabled is set cannot be read";
  } else if (value.empty()) {
    finding.says = "this kernel has no kernel.io_uring_disabled: io_uring is not disabled by it";
  } else if (value == "0") {
    finding.says = "kernel.io_uring_disabled is 0: for everybody";
  } else if (value == "1") {
    finding.state = State::worse;
    finding.says = "kernel.io_uring_disabled is 1: for a group and CAP_SYS_ADMIN only";
    finding.advice =
        "sysctl kernel.io_uring_disabled=0, or put the user into the group kernel.io_uring_group";
  } else {
    finding.state = State::broken;
    finding.says = "kernel.io_uring_disabled is " + value + ": for nobody";
    finding.advice = "sysctl kernel.io_uring_disabled=0";
  }
  return finding;
}

Finding examine_seccomp() {
  const std::string mode = seccomp_mode();
  if (mode == "2") {
    return {.name = "seccomp",
            .says = "a filter is installed, as in containers; what it lets through is tried below"};
  }
  return {.name = "seccomp", .says = "no filter"};
}

Finding examine_mask() {
  const char* const mask = std::getenv("CORERING_MASK");
  if (mask == nullptr || *mask == '\0') return {.name = "mask", .says = "CORERING_MASK hides nothing"};
  if (!wrong_name_in_mask().empty()) {
    return {.name = "mask",
            .state = State::broken,
            .says = "CORERING_MASK names '" + std::string(wrong_name_in_mask()) + "', which cannot be hidden",
            .advice = "unset CORERING_MASK, or take names from the list below"};
  }
  return {.name = "mask",
          .state = State::worse,
          .says = std::string("CORERING_MASK hides ") + mask,
          .advice = "unset CORERING_MASK, unless this is a test"};
}

std::string flag_names(std::uint32_t flags) {
  struct Flag {
    std::uint32_t bit;
    const char* name;
  };
  constexpr std::array all = {
      Flag{uapi::setup_defer_taskrun, " DEFER_TASKRUN"}, Flag{uapi::setup_single_issuer, " SINGLE_ISSUER"},
      Flag{uapi::setup_coop_taskrun, " COOP_TASKRUN"}, Flag{uapi::setup_submit_all, " SUBMIT_ALL"}};
  std::string names;
  for (const auto& [bit, name] : all) {
    if ((flags & bit) != 0) names += name;
  }
  return names.empty() ? " no flags" : names;
}

Finding examine_ring(Worker& worker, bool& usable) {
  const Result<void> started = worker.start();
  usable = started.has_value();
  if (!started) {
    return {.name = "ring",
            .state = State::broken,
            .says = "no worker can run",
            .advice = started.error().message()};
  }
  return {.name = "ring", .says = "a worker runs, with" + flag_names(worker.setup_flags())};
}

Task<void> read_own_program(Result<std::size_t>& got) {
  const Result<Fd> file = co_await async_openat(AT_FDCWD, own_program(), O_RDONLY);
  if (!file) {
    got = std::unexpected(file.error());
    co_return;
  }
  std::array<std::byte, 4096> buffer;
  got = co_await async_read(*file, buffer, 0);
}

Result<std::size_t> read_own_program_on(Worker& worker) {
  Result<std::size_t> got = 0;
  auto reading = worker.spawn(read_own_program(got));
  if (!reading) return std::unexpected(reading.error());
  sync_wait(std::move(*reading));
  return got;
}

Finding examine_io(Worker& worker) {
  const Result<std::size_t> got = read_own_program_on(worker);
  if (got && *got > 0) return {.name = "read", .says = "a file can be opened and read"};
  return {.name = "read",
          .state = State::broken,
          .says = "the ring opens, but a file cannot be read",
          .advice = got ? "nothing was read: is this a sandbox?" : got.error().message()};
}

Finding examine_emulation(bool& works) {
  Worker worker({.kernel = &emulated_kernel()});
  const Result<void> started = worker.start();
  const Result<std::size_t> got =
      started ? read_own_program_on(worker) : Result<std::size_t>(std::unexpected(started.error()));
  works = got && *got > 0;
  if (works) return {.name = "emulation", .says = "it works: programs can run without io_uring"};
  return {.name = "emulation",
          .state = State::worse,
          .says = started ? "a worker runs on it, but cannot read a file" : "no worker can run on it",
          .advice = got ? "nothing was read: is this a sandbox?" : got.error().message()};
}

Task<void> register_buffers(Result<void>& done) {
  const auto registered = RegisteredBuffers::create({.count = 16, .size = 64 * 1024});
  const auto pool = BufferPool::create({.count = 256, .size = 4096});
  if (!registered) {
    done = std::unexpected(registered.error());
  } else if (!pool) {
    done = std::unexpected(pool.error());
  }
  co_return;
}

Finding examine_memory(Worker& worker) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  Finding finding{.name = "memlock", .says = "RLIMIT_MEMLOCK is " + kibibytes(limit.rlim_cur)};
  Result<void> done;
  auto registering = worker.spawn(register_buffers(done));
  if (registering) sync_wait(std::move(*registering));
  if (done) {
    finding.says += "; 1 MiB of registered buffers and a buffer pool fit";
  } else {
    finding.state = State::worse;
    finding.says += "; buffers cannot be registered (" + done.error().message() + ")";
    finding.advice =
        "raise it: ulimit -l, LimitMEMLOCK= of the service, or --ulimit memlock= of the container";
  }
  return finding;
}

Finding examine_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  Finding finding{.name = "nofile",
                  .says = "RLIMIT_NOFILE is " + count(limit.rlim_cur) + ", at most " + count(limit.rlim_max)};
  if (limit.rlim_cur < 4096) {
    finding.state = State::worse;
    finding.advice =
        limit.rlim_cur < limit.rlim_max
            ? "a server wants a descriptor per connection: ulimit -n " + count(limit.rlim_max)
            : "a server wants a descriptor per connection: raise the hard limit (limits.conf, or "
              "LimitNOFILE= of the service)";
  }
  return finding;
}

Finding examine_timers() {
  tools::TimerCheck checked = tools::check_timers();
  return {.name = "timers",
          .state = checked.state == tools::TimerCheck::State::fine ? State::fine : State::worse,
          .says = std::move(checked.says),
          .advice = std::move(checked.advice)};
}

// It is tried, in the way in which iotrace does it.
Finding examine_trace() {
  if (is_emulated_by_choice()) {
    return {.name = "trace", .says = "iotrace runs on the emulation, and sees what that does, and when"};
  }
  iotrace::KernelLane lane;
  lane.watch_new_threads();
  const iotrace::KernelLane::Refusal& refusal = lane.refusal();
  if (refusal.why.empty()) return {.name = "trace", .says = "iotrace can see what the kernel does, and when"};
  return {.name = "trace",
          .state = State::worse,
          .says = "iotrace cannot see what the kernel does: " + refusal.why,
          .advice = std::string(refusal.advice)};
}

std::vector<Optional> list_optional(const Capabilities& there) {
  std::vector<Optional> list;
  const auto add = [&list](const Offer& offer, bool is_there) {
    list.push_back({std::string(offer.name), is_there, std::string(offer.since), std::string(offer.instead)});
  };
  for (int i = 0; i < static_cast<int>(Feature::count_); ++i) {
    const auto feature = static_cast<Feature>(i);
    add(offer_of(feature), there.has(feature));
  }
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    const auto opcode = static_cast<Opcode>(i);
    if (offer_of(opcode) != nullptr) add(*offer_of(opcode), there.has(opcode));
  }
  return list;
}

constexpr std::array state_names = {"fine", "worse", "broken"};
constexpr std::array state_marks = {"  ok  ", "  !   ", "  XX  "};

}  // namespace

Diagnosis examine() {
  Diagnosis diagnosis;
  on_emulation([](std::error_code) {});  // the line "kernel" says so
  for (const auto look : {examine_system, examine_kernel, examine_sysctl, examine_seccomp, examine_mask}) {
    diagnosis.findings.push_back(look());
  }
  Finding trace = examine_trace();  // before the first thread starts
  Worker worker;
  diagnosis.kernel = worker.kernel_name();
  diagnosis.findings.push_back(examine_ring(worker, diagnosis.usable));
  if (diagnosis.usable) {
    diagnosis.findings.push_back(examine_io(worker));
    diagnosis.usable = diagnosis.findings.back().state != State::broken;
    diagnosis.findings.push_back(examine_memory(worker));
    diagnosis.findings.push_back(examine_timers());
  }
  diagnosis.findings.push_back(examine_emulation(diagnosis.emulation_works));
  diagnosis.findings.push_back(examine_descriptors());
  diagnosis.findings.push_back(std::move(trace));
  diagnosis.optional = list_optional(probe(default_kernel()).value_or(Capabilities()));
  return diagnosis;
}

std::string verdict(const Diagnosis& diagnosis) {
  const bool is_emulated = diagnosis.kernel == emulated_kernel().name();
  if (diagnosis.usable)
    return is_emulated ? "corering can be used here, on the emulation of io_uring."
                       : "corering can be used here.";
  const bool helps = diagnosis.emulation_works && !is_emulated && is_emulated_by_choice();
  return helps ? "corering cannot be used here without CORERING_KERNEL=auto."
               : "corering cannot be used here.";
}

std::string as_text(const Diagnosis& diagnosis) {
  std::string text = verdict(diagnosis) + "\n\n";
  for (const Finding& finding : diagnosis.findings) {
    const auto state = static_cast<std::size_t>(finding.state);
    text += state_marks[state] + finding.name +
            std::string(10 - std::min<std::size_t>(finding.name.size(), 9), ' ');
    text += printable(finding.says) + "\n";
    if (!finding.advice.empty()) text += std::string(16, ' ') + "-> " + printable(finding.advice) + "\n";
  }
  const auto missing = std::ranges::count(diagnosis.optional, false, &Optional::there);
  text += !diagnosis.usable
              ? "\nWhat can be missing, and be named in CORERING_MASK:\n\n"
              : "\nOf what is newer than Linux 5.19, " + std::to_string(diagnosis.optional.size()) +
                    " things, " + (missing == 0 ? "all are" : std::to_string(missing) + " are not") +
                    " there:\n\n";
  for (const Optional& one : diagnosis.optional) {
    text += std::string(one.there ? "  ok  " : "  -   ") + one.name;
    text += std::string(24 - std::min<std::size_t>(one.name.size(), 23), ' ') + "Linux " + one.since;
    if (!one.there) {
      text += one.instead.empty() ? "   operations that need it fail" : "   instead: " + one.instead;
    }
    text += "\n";
  }
  return text;
}

std::string as_json(const Diagnosis& diagnosis) {
  std::string text = std::string("{\"usable\": ") + (diagnosis.usable ? "true" : "false") +
                     ", \"kernel\": " + json_string(diagnosis.kernel) + ", \"findings\": [";
  const char* separator = "";
  for (const Finding& finding : diagnosis.findings) {
    text += separator;
    text += "{\"name\": " + json_string(finding.name);
    text += ", \"state\": " + json_string(state_names[static_cast<std::size_t>(finding.state)]);
    text += ", \"says\": " + json_string(finding.says) + ", \"advice\": " + json_string(finding.advice) + "}";
    separator = ", ";
  }
  text += "], \"optional\": [";
  separator = "";
  for (const Optional& one : diagnosis.optional) {
    text += separator;
    text += "{\"name\": " + json_string(one.name) + ", \"there\": " + (one.there ? "true" : "false");
    text += ", \"since\": " + json_string(one.since) + ", \"instead\": " + json_string(one.instead) + "}";
    separator = ", ";
  }
  return text + "]}\n";
}

}  // namespace corering_tool
