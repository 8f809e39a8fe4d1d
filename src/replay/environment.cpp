/// environment.cpp — one recorder or one replay for the whole process, which the first worker asks for.
#include "replay/environment.hpp"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <corering/replay/replay.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel_choice.hpp>
#include <corering/uring/setup_error.hpp>

#include "trace/settings.hpp"

namespace corering::replay {
namespace {

constinit std::atomic<bool> is_wrong = false;

/// They are never destroyed: objects of the program that are destroyed after main may still close something.
RunRecorder* recorder = nullptr;
RunReplay* replayed = nullptr;

Kernel* replay(const char* file) {
  std::expected<std::unique_ptr<RunReplay>, std::string> opened = RunReplay::open(file);
  if (opened) {
    replayed = opened->release();
    return &replayed->kernel();
  }
  std::fprintf(stderr, "corering: CORERING_REPLAY: %s\n", opened.error().c_str());
  is_wrong = true;
  return nullptr;
}

// What is not understood is printed where the trace's settings are read.
Kernel* record(Kernel& (*chosen)() noexcept) {
  const Result<std::optional<trace::ReplayWish>> wish = trace::replay_wish_of_environment();
  if (!wish || !*wish) return nullptr;
  Result<std::unique_ptr<RunRecorder>> started =
      RunRecorder::start({.file = (*wish)->file, .bytes = (*wish)->bytes, .kernel = &chosen()});
  if (!started) {
    trace::say_why_not(started.error());
    return nullptr;
  }
  recorder = started->release();
  std::atexit([] { recorder->finish(); });
  return &recorder->kernel();
}

// A replay that cannot begin must not become a run of the real program.
Kernel* give_up(bool replays, const char* why) noexcept {
  std::fprintf(stderr,
               replays ? "corering: CORERING_REPLAY: the replay cannot begin: %s\n"
                       : "corering: CORERING_TRACE: nothing is recorded for a replay: %s\n",
               why);
  is_wrong = replays;
  return nullptr;
}

Kernel* decide(Kernel& (*chosen)() noexcept) noexcept {
  const char* const file = ::secure_getenv("CORERING_REPLAY");
  const bool replays = file != nullptr && *file != '\0';
  try {
    return replays ? replay(file) : record(chosen);
  } catch (const std::exception& wrong) {
    return give_up(replays, wrong.what());
  }
}

}  // namespace

Kernel* kernel_of_environment(Kernel& (*chosen)() noexcept) noexcept {
  static Kernel* const decided = decide(chosen);
  return decided;
}

Result<void> check_environment() noexcept {
  if (!wrong_name_in_mask().empty()) return std::unexpected(setup_error(SetupStep::mask, EINVAL));
  if (!wrong_kernel_name().empty()) return std::unexpected(setup_error(SetupStep::kernel, EINVAL));
  if (is_wrong.load()) return std::unexpected(setup_error(SetupStep::replay, EINVAL));
  return {};
}

}  // namespace corering::replay
