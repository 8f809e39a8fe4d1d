/// settings.hpp — what the environment says about recording.
#pragma once

#include <filesystem>
#include <optional>

#include <corering/trace/recorder.hpp>

namespace corering::trace {

/// Returns what CORERING_TRACE asks for; nothing, if it is not set or off.
/// errors: EINVAL: it is not understood; then why_not_understood() says why
[[nodiscard]] Result<std::optional<Options>> settings_of_environment();

/// A run that is to be recorded so that it can be replayed: replay/replay.hpp.
struct ReplayWish {
  std::filesystem::path file;
  bool bytes = false;
};

/// Returns what CORERING_TRACE=replay,file=PATH asks for; nothing, if it says something else.
/// errors: EINVAL: it says replay, and something that is not understood
[[nodiscard]] Result<std::optional<ReplayWish>> replay_wish_of_environment();

/// Prints one line that says why the environment's wish cannot be fulfilled.
void say_why_not(const std::error_code& error) noexcept;

/// Returns the path for Options::file: the same one, or for "auto" one in the usual directory, which is then
/// made.
[[nodiscard]] std::filesystem::path file_to_use(const std::filesystem::path& wanted);

/// Returns the usual directory: $XDG_RUNTIME_DIR/corering or /dev/shm/corering-UID.
[[nodiscard]] std::filesystem::path usual_directory();

}  // namespace corering::trace
