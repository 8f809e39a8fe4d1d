/// attachment.cpp — finds the trace file of a process, and counts ourselves among those who want it.
#include <array>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/trace/attachment.hpp>

#include "trace/capture_limits.hpp"
#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/shared_map.hpp"

namespace corering::trace {

using layout::Control;

struct Attachment::Page {
  SharedMap map;
  std::atomic<std::uint64_t>* slot = nullptr;
  pid_t made_by = ::getpid();  // a child after fork(2) does not have the page

  [[nodiscard]] Control& control() const noexcept { return map.as<Control>(); }
};

namespace {

constexpr std::uint64_t pack(pid_t pid, Level level) noexcept {
  return static_cast<std::uint64_t>(pid) << 32 | static_cast<std::uint64_t>(level);
}
constexpr pid_t pid_of(std::uint64_t slot) noexcept { return static_cast<pid_t>(slot >> 32); }
constexpr Level level_of(std::uint64_t slot) noexcept { return static_cast<Level>(slot & 3); }
/// A slot has this bit when its owner has set the limits.
constexpr std::uint64_t has_limits = 4;

void take_back(Control& control, std::uint64_t slot) noexcept {
  if ((slot & has_limits) != 0) set_limits(control.limits, {});
  control.take_back(level_of(slot));
}

/// Returns whether this descriptor is the trace file of that process.
bool is_trace_file_of(const Fd& fd, pid_t pid) {
  layout::FileHead head;
  return fd.is_open() && FileSource(fd.get()).get(0, head) && head.magic == layout::magic &&
         static_cast<pid_t>(head.pid) == pid;
}

/// A descriptor of another process is opened only if its name tells that it may be the one: opening a FIFO or
/// a device can have effects.
bool may_be_trace_file(int directory, const char* name) {
  struct stat status{};
  return ::fstatat(directory, name, &status, 0) == 0 && S_ISREG(status.st_mode);
}

Result<Fd> find_trace_file(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return failure(errno == ENOENT ? ESRCH : errno);
  Fd found;
  while (const dirent* const entry = ::readdir(directory)) {
    if (!may_be_trace_file(::dirfd(directory), entry->d_name)) continue;
    Fd fd(::openat(::dirfd(directory), entry->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (is_trace_file_of(fd, pid)) found = std::move(fd);  // the latest has the highest number, as a rule
  }
  ::closedir(directory);
  if (!found.is_open()) return failure(ENOENT);
  return found;
}

/// Takes back what those who have died had asked for.
void forget_the_dead(Control& control) noexcept {
  for (std::atomic<std::uint64_t>& slot : control.attached) {
    std::uint64_t seen = slot.load(std::memory_order_relaxed);
    if (seen == 0 || ::kill(pid_of(seen), 0) == 0 || errno != ESRCH) continue;
    if (slot.compare_exchange_strong(seen, 0)) take_back(control, seen);
  }
}

std::atomic<std::uint64_t>* take_slot(Control& control, Level level) noexcept {
  for (std::atomic<std::uint64_t>& slot : control.attached) {
    std::uint64_t empty = 0;
    if (slot.compare_exchange_strong(empty, pack(::getpid(), level))) return &slot;
  }
  return nullptr;
}

}  // namespace

Attachment::Attachment(Fd file, std::unique_ptr<Page> page) noexcept
    : file_(std::move(file)), page_(std::move(page)) {}
Attachment::Attachment(Attachment&& other) noexcept = default;

Result<Attachment> Attachment::to(pid_t pid, Level level) {
  Result<Fd> file = find_trace_file(pid);
  if (!file) return std::unexpected(file.error());
  auto page = std::make_unique<Page>();
  page->map = SharedMap::of(file->get(), layout::control_offset, layout::page, false);
  if (!page->map.is_open()) return failure(errno);
  Control& control = page->control();
  forget_the_dead(control);
  page->slot = take_slot(control, level);
  if (page->slot == nullptr) return failure(EUSERS);
  control.add(level);
  return Attachment(std::move(*file), std::move(page));
}

Attachment::~Attachment() {
  if (page_ != nullptr && page_->made_by == ::getpid()) take_back(page_->control(), page_->slot->exchange(0));
}

// Who is the first to say that there are limits may set them.
Result<void> Attachment::keep(const Capture& capture) noexcept {
  CORERING_ASSERT(page_ != nullptr, "an attachment was used after it had been moved from");
  const std::uint64_t slot = page_->slot->load();
  if (!capture.keeps_something() || level_of(slot) != Level::full) return failure(EINVAL);
  recorder::Limits& limits = page_->control().limits;
  std::uint64_t none = 0;
  if ((slot & has_limits) == 0 && !limits.any.compare_exchange_strong(none, 1)) return failure(EBUSY);
  page_->slot->fetch_or(has_limits);
  set_limits(limits, capture);
  return {};
}

Result<Recording> Attachment::recording() const { return read_recording(FileSource(file_.get())); }

}  // namespace corering::trace
