/// signals.cpp — reading a signalfd.
#include <cerrno>
#include <csignal>
#include <string>
#include <sys/signalfd.h>

#include <corering/core/cancellation.hpp>
#include <corering/io/file_calls.hpp>
#include <corering/process/signals.hpp>

namespace corering {

Result<Signals> Signals::block(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    if (sigaddset(&set, signal) != 0) return failure(errno);
  }
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) return failure(error);
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
