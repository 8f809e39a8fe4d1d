/// replay.cpp — what a recorder and a replay are made of.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/replay/replay.hpp>
#include <corering/trace/recorder.hpp>

#include "replay/taped_kernel.hpp"

namespace corering::replay {
namespace {

/// Times are kept while it lives: only then a mailbox tells the kernel of its posts.
class KeptTimes {
 public:
  KeptTimes() {
    (void)trace::start_as_environment_says();  // which begins first, and would end ours
    begun_ = !trace::counts() && trace::start({.level = trace::Level::hist, .file = {}}).has_value();
  }
  KeptTimes(KeptTimes&&) = delete;
  ~KeptTimes() {
    if (begun_) trace::stop();
  }

 private:
  bool begun_ = false;
};

/// What both have: the tape, and its place on this thread.
struct Session {
  Session(std::unique_ptr<Tape> used, Kernel* kernel, const Capabilities& capabilities)
      : tape(std::move(used)), taped(*tape, kernel, capabilities), outside(*tape) {
    os::ask_about_every_descriptor();
    before = os::set_outside(&outside);
  }
  Session(Session&&) = delete;
  ~Session() {
    CORERING_ASSERT(tape->is_here(), "a recording or a replay is destroyed on the thread that made it");
    CORERING_ASSERT(os::outside() == &outside, "the newest recording, replay or world is destroyed first");
    os::set_outside(before);
  }

  std::unique_ptr<Tape> tape;
  TapedKernel taped;
  TapedOutside outside;
  Outside* before = nullptr;
  KeptTimes times;
};

constexpr bool can_record =
#if defined(CORERING_NO_TRACE)
    false;
#else
    true;
#endif

}  // namespace

// ---- recording ----

struct RunRecorder::Parts : Session {
  using Session::Session;
};

RunRecorder::RunRecorder(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}

Result<std::unique_ptr<RunRecorder>> RunRecorder::start(const RecordOptions& options) {
  if (!can_record) return failure(ENOTSUP);
  const Capabilities known = probe(*options.kernel).value_or(Capabilities());
  auto tape = std::make_unique<Tape>(options.file.string());
  tape->keep_bytes(options.bytes);
  if (const int failed = tape->writer().open(options.file, FileHead::of(known, options.bytes)); failed < 0)
    return failure(-failed);
  auto parts = std::make_unique<Parts>(std::move(tape), options.kernel, known);
  return std::unique_ptr<RunRecorder>(new RunRecorder(std::move(parts)));
}

RunRecorder::~RunRecorder() { finish(); }

void RunRecorder::finish() noexcept { parts_->tape->finish(); }

Kernel& RunRecorder::kernel() noexcept { return parts_->taped; }
std::uint64_t RunRecorder::events() const noexcept { return parts_->tape->writer().events(); }
std::uint64_t RunRecorder::hash() const noexcept { return parts_->tape->writer().hash(); }
std::string RunRecorder::why_not() const {
  const char* const why = parts_->tape->refused();
  return why == nullptr ? "" : why;
}

// ---- replaying ----

struct RunReplay::Parts : Session {
  using Session::Session;
};

RunReplay::RunReplay(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}

std::expected<std::unique_ptr<RunReplay>, std::string> RunReplay::open(const std::filesystem::path& file) {
  std::expected<ReplayFileReader, std::string> reader = ReplayFileReader::open(file);
  if (!reader) return std::unexpected(std::move(reader.error()));
  const Capabilities known = reader->head().capabilities();
  const bool has_bytes = reader->head().has_bytes != 0;
  auto tape = std::make_unique<Tape>(file.string(), std::move(*reader));
  tape->keep_bytes(has_bytes);
  auto parts = std::make_unique<Parts>(std::move(tape), nullptr, known);
  return std::unique_ptr<RunReplay>(new RunReplay(std::move(parts)));
}

RunReplay::~RunReplay() = default;

Kernel& RunReplay::kernel() noexcept { return parts_->taped; }
std::uint64_t RunReplay::events() const noexcept { return parts_->tape->reader().events(); }
std::uint64_t RunReplay::hash() const noexcept { return parts_->tape->reader().hash(); }
bool RunReplay::has_ended() const noexcept { return parts_->tape->has_played_all(); }

}  // namespace corering::replay
