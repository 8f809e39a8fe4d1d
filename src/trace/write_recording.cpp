/// write_recording.cpp — trace files of recordings that are complete.
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/fd.hpp>
#include <corering/trace/recording.hpp>

#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/trace_file.hpp"

namespace corering::trace {

using namespace layout;

namespace {

bool put(int fd, std::uint64_t offset, const void* from, std::size_t bytes) noexcept {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t put =
        ::pwrite(fd, static_cast<const char*>(from) + done, bytes - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno != EINTR) return false;
    done += static_cast<std::size_t>(std::max<ssize_t>(put, 0));
  }
  return true;
}

using KindName = std::array<char, kind_name_bytes>;

KindName padded(std::string_view name) noexcept {
  KindName text{};
  name.copy(text.data(), text.size() - 1);
  return text;
}

/// The numbers that the kinds have in the file. Another version may have written it: then they are others,
/// and some kinds have none yet.
class KindNumbers {
 public:
  [[nodiscard]] bool read(const ByteSource& source, const FileHead& head) {
    names_.resize(std::min<std::size_t>(head.kind_count, most));
    offset_ = head.kinds_offset;
    const std::size_t bytes = names_.size() * sizeof(KindName);
    return source.read(offset_, names_.data(), bytes) == bytes;
  }
  /// Gives the kinds of these events numbers. Returns false if there is no room for them.
  [[nodiscard]] bool learn(std::span<const ThreadRecording> threads) {
    for (const ThreadRecording& thread : threads) {
      for (const TimedEvent& event : thread.events) {
        if (!learn(event.kind)) return false;
      }
    }
    return true;
  }
  /// Writes the names of all, which `head` is to count.
  [[nodiscard]] bool write(int fd, FileHead& head) const {
    head.kind_count = static_cast<std::uint32_t>(names_.size());
    return put(fd, offset_, names_.data(), names_.size() * sizeof(KindName));
  }
  [[nodiscard]] std::uint64_t of(Kind kind) const noexcept {
    CORERING_DEBUG_ASSERT(numbers_[index_of(kind)] != 0, "a kind has a number before an event is written");
    return numbers_[index_of(kind)] - 1U;
  }

 private:
  static constexpr std::size_t most = (rings_offset - kinds_offset) / kind_name_bytes;
  static std::size_t index_of(Kind kind) noexcept { return static_cast<std::size_t>(kind); }

  bool learn(Kind kind) {
    std::uint16_t& number = numbers_[index_of(kind)];
    if (number != 0) return true;
    const KindName name = padded(kind < Kind::count_ ? kind_names[index_of(kind)] : "");
    const auto found = std::ranges::find(names_, name);
    number = static_cast<std::uint16_t>(found - names_.begin() + 1);
    if (found == names_.end()) names_.push_back(name);
    return names_.size() <= most;
  }

  std::vector<KindName> names_;
  std::uint64_t offset_ = 0;
  std::array<std::uint16_t, 256> numbers_{};  // from 1; 0: nobody has asked for it
};

Event packed(const TimedEvent& event, const KindNumbers& kinds) noexcept {
  return {.ticks = static_cast<std::uint64_t>(event.ns),
          .id_and_kind = kinds.of(event.kind) << 56 | static_cast<std::uint64_t>(event.opcode) << 48 |
                         (event.id & Event::id_mask),
          .a = event.a,
          .b = event.b};
}

RingHead head_of(const ThreadRecording& thread, std::uint64_t number) noexcept {
  RingHead head{.number = number,
                .lost_before = thread.lost,
                .claimed = thread.events.size(),
                .written = thread.events.size(),
                .tid = static_cast<std::uint32_t>(thread.tid),
                .clock = RingClock::raw_ns,
                .captured = thread.captured,
                .suppressed = thread.suppressed};
  thread.name.copy(head.name.data(), head.name.size() - 1);
  return head;
}

bool put_events(int fd, std::uint64_t offset, const ThreadRecording& thread, const KindNumbers& kinds) {
  constexpr std::size_t at_once = 8192;
  std::vector<Event> events;
  for (std::size_t at = 0; at < thread.events.size(); at += events.size()) {
    const std::size_t count = std::min(at_once, thread.events.size() - at);
    events.clear();
    for (std::size_t i = 0; i < count; ++i) events.push_back(packed(thread.events[at + i], kinds));
    if (!put(fd, offset + at * sizeof(Event), events.data(), count * sizeof(Event))) return false;
  }
  return true;
}

/// Adds a ring after the last one, and counts it in `head`, which is not written.
bool put_ring(int fd, FileHead& head, std::uint64_t& end, const ThreadRecording& thread,
              const KindNumbers& kinds) {
  const std::uint64_t capacity = std::max<std::uint64_t>(thread.events.size(), 1);
  const RingEntry entry{end, capacity};
  const RingHead ring = head_of(thread, head.ring_count + std::uint64_t{1});
  if (!put(fd, end, &ring, sizeof ring) || !put_events(fd, end + page, thread, kinds)) return false;
  end += bytes_of_ring(capacity);
  return put(fd, head.rings_offset + head.ring_count++ * sizeof entry, &entry, sizeof entry);
}

Result<void> put_threads(int fd, FileHead& head, std::uint64_t end,
                         std::span<const ThreadRecording> threads) {
  if (head.ring_count + threads.size() > most_rings) return failure(E2BIG);
  KindNumbers kinds;
  if (!kinds.read(FileSource(fd), head)) return failure(EBADMSG);
  if (!kinds.learn(threads)) return failure(E2BIG);
  for (const ThreadRecording& thread : threads) {
    if (!put_ring(fd, head, end, thread, kinds)) return failure(errno);
  }
  if (!kinds.write(fd, head)) return failure(errno);
  if (!put(fd, 0, &head, sizeof head) || ::ftruncate(fd, static_cast<off_t>(end)) != 0) return failure(errno);
  return {};
}

/// Returns the end of the last ring.
std::uint64_t end_of_rings(const ByteSource& source, const FileHead& head) {
  std::uint64_t end = first_ring_offset;
  for (std::uint32_t i = 0; i < std::min(head.ring_count, most_rings); ++i) {
    RingEntry entry;
    if (source.get(std::uint64_t{head.rings_offset} + i * sizeof entry, entry))
      end = std::max(end, entry.offset + bytes_of_ring(entry.capacity));
  }
  return end;
}

/// What the head says of the process is that of the recording, not ours.
void describe(FileHead& head, const Recording& recording) {
  head.pid = static_cast<std::uint32_t>(recording.pid);
  head.boot_id = {};
  head.program = {};
  recording.boot_id.copy(head.boot_id.data(), head.boot_id.size() - 1);
  recording.program.copy(head.program.data(), head.program.size() - 1);
  recording.kernel.copy(head.kernel.data(), head.kernel.size() - 1);
  head.started = {.raw_ns = recording.started_ns, .unix_ns = recording.started_unix};
  head.latest = head.started;
  head.unrecorded = recording.unrecorded;
}

}  // namespace

Result<void> write_recording(const std::filesystem::path& file, const Recording& recording) {
  int error = 0;
  const std::shared_ptr<TraceFile> made = TraceFile::create(file, error);
  if (made == nullptr) return failure(-error);
  for (const auto& [key, place] : recording.places)
    made->add_place(key, place.is_name, place.file, place.function, place.line);
  FileHead head = made->head();
  describe(head, recording);
  return put_threads(made->descriptor(), head, first_ring_offset, recording.threads);
}

Result<void> add_threads(const std::filesystem::path& file, std::span<const ThreadRecording> threads) {
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.is_open()) return failure(errno);
  const FileSource source(fd.get());
  Result<FileHead> head = read_head(source);
  if (!head) return std::unexpected(head.error());
  return put_threads(fd.get(), *head, end_of_rings(source, *head), threads);
}

}  // namespace corering::trace
