/// signals.cpp — reading a signalfd.
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <dirent.h>
#include <fstream>
#include <optional>
#include <string>
#include <sys/signalfd.h>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/process/signals.hpp>

namespace corering {
namespace {

class SignalsCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "corering.signals"; }
  std::string message(int) const override {
    return "a thread that runs already does not block these signals, and would get them instead: call "
           "Signals::block() at the top of main(), before any thread or worker starts";
  }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::operation_not_permitted;
  }
};

/// Returns the signals that a thread of this process blocks, one bit each, or nothing if /proc does not say.
std::optional<std::uint64_t> blocked_by(const std::string& thread) {
  std::ifstream status("/proc/self/task/" + thread + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return std::nullopt;
}

std::uint64_t bit_of(int signal) noexcept {
  CORERING_ASSERT(signal >= 1 && signal <= 64, "sigaddset takes only signals that exist");
  return std::uint64_t{1} << (signal - 1);
}

/// Returns true if every thread of this process blocks the signals, as far as /proc knows them.
bool all_threads_block(std::uint64_t signals) {
  DIR* const threads = ::opendir("/proc/self/task");
  if (threads == nullptr) return true;
  bool all = true;
  while (const dirent* const thread = ::readdir(threads)) {
    if (thread->d_name[0] == '.') continue;
    all = all && (~blocked_by(thread->d_name).value_or(~std::uint64_t{0}) & signals) == 0;
  }
  ::closedir(threads);
  return all;
}

}  // namespace

const std::error_category& signals_category() noexcept {
  static const SignalsCategory category;
  return category;
}

Result<Signals> Signals::block(std::initializer_list<int> signals) {
  sigset_t set, before;
  sigemptyset(&set);
  std::uint64_t bits = 0;
  for (const int signal : signals) {
    if (sigaddset(&set, signal) != 0) return failure(errno);
    bits |= bit_of(signal);
  }
  if (Outside* const world = os::world(); world != nullptr) {
    const int fd = world->signal_descriptor(bits);
    if (fd < 0) return failure(-fd);
    return Signals(Fd(fd));
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, &before); error != 0) return failure(error);
  if (!all_threads_block(bits)) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return std::unexpected(make_error_code(SignalsErrc::threads_run_already));
  }
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd.is_open()) return failure(errno);
  return Signals(std::move(fd));
}

Task<Result<int>> Signals::next() {
  signalfd_siginfo info{};
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(&info, 1));
  const Result<std::size_t> got = co_await async_read(fd_.get(), bytes, current_position);
  if (!got) co_return std::unexpected(got.error());
  if (*got != sizeof info) co_return failure(EIO);
  co_return static_cast<int>(info.ssi_signo);
}

Task<void> dump_tasks_on(Signals& signals, std::span<Worker* const> workers, int output) {
  for (;;) {
    const Result<int> signal = co_await signals.next();
    if (!signal) co_return;
    std::string text;
    for (Worker* const worker : workers) {
      const std::optional<TaskDump> dump = worker->dump_tasks();
      text += dump ? dump->to_string()
                   : "worker " + worker->name() + " does not answer: a task keeps its thread busy\n";
    }
    const Result<std::size_t> written =
        co_await async_write(output, std::as_bytes(std::span(text)), current_position);
    if (!written && is_cancellation(written.error())) co_return;
  }
}

}  // namespace corering
