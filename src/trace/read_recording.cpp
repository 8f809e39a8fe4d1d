/// read_recording.cpp — believes nothing that a trace file says before it has looked.
#include "trace/read_recording.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <new>
#include <span>
#include <unistd.h>

#include <corering/base/fd.hpp>

#include "trace/layout.hpp"
#include "trace/read_captures.hpp"
#include "trace/ticks.hpp"

namespace corering::trace {

using namespace layout;

namespace {

constexpr std::uint64_t most_capacity = std::uint64_t{1} << 40;
constexpr std::int64_t least_ns = 1'000'000;  // between two moments that tell how long a tick is

template <std::size_t size>
std::string text_of(const std::array<char, size>& text) {
  return {text.begin(), std::ranges::find(text, '\0')};
}

/// A program that was killed soon may have written no second moment. On the same machine the present one does
/// as well.
bool lacks_moment(const FileHead& head) {
  return head.latest.ticks <= head.started.ticks || head.latest.raw_ns <= head.started.raw_ns + least_ns;
}

/// Returns a moment that is far enough from the first one; it waits for that at most as long.
Moment second_moment(const FileHead& head) {
  Moment now = moment_now();
  while (now.raw_ns >= head.started.raw_ns && now.raw_ns <= head.started.raw_ns + least_ns)
    now = moment_now();
  return now;
}

bool is_of_this_boot(const FileHead& head) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  return std::getline(file, boot_id) && boot_id == text_of(head.boot_id);
}

Moment latest(const FileHead& head) {
  return lacks_moment(head) && is_of_this_boot(head) ? second_moment(head) : head.latest;
}

/// Writes the moment that was missing, so that everybody who opens the file sees the same times, also after
/// the next boot. Where the file may not be written, they may differ in the last digits.
void keep_moment(const std::filesystem::path& file, FileHead head) noexcept {
  static_assert(offsetof(FileHead, latest) == offsetof(FileHead, latest_number) + sizeof head.latest_number);
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.is_open()) return;
  head.latest_number = 2;  // the program may have died while it wrote one
  head.latest = second_moment(head);
  const auto written =
      std::as_bytes(std::span(&head, 1))
          .subspan(offsetof(FileHead, latest_number), sizeof head.latest_number + sizeof head.latest);
  (void)!::pwrite(fd.get(), written.data(), written.size(), offsetof(FileHead, latest_number));
}

bool is_gone(const FileHead& head) noexcept {
  return head.started.ticks != 0 && ::kill(static_cast<pid_t>(head.pid), 0) != 0 && errno == ESRCH;
}

/// Reads one file. What cannot be read is left out, and the recording says so.
class RecordingReader {
 public:
  RecordingReader(const ByteSource& source, const FileHead& head) : source_(source), head_(head) {}

  Recording read() {
    recording_.pid = static_cast<int>(head_.pid);
    recording_.program = text_of(head_.program);
    recording_.boot_id = text_of(head_.boot_id);
    recording_.kernel = text_of(head_.kernel);
    recording_.started_ns = head_.started.raw_ns;
    recording_.started_unix = head_.started.unix_ns;
    recording_.unrecorded = head_.unrecorded;
    read_kinds();
    read_places();
    read_rings();
    return std::move(recording_);
  }

 private:
  /// A ring as it was found.
  struct Found {
    RingHead head;
    RingEntry entry;
  };

  /// Returns as many as there are.
  template <class T>
  std::vector<T> read_array(std::uint64_t offset, std::size_t count, std::string_view what) {
    std::vector<T> all(count);
    const std::size_t got = source_.read(offset, all.data(), count * sizeof(T)) / sizeof(T);
    if (got < count) miss(what);
    all.resize(got);
    return all;
  }

  // The kinds of the file have the numbers of the version that wrote it; their names say what they are.
  void read_kinds() {
    const auto names = read_array<std::array<char, kind_name_bytes>>(
        head_.kinds_offset, std::min<std::uint32_t>(head_.kind_count, kinds_.size()), "kinds");
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto known = std::ranges::find(kind_names, std::string_view(text_of(names[i])));
      kinds_[i] = known == kind_names.end() ? Kind::none : static_cast<Kind>(known - kind_names.begin());
    }
  }

  void read_places() {
    std::string strings(std::min(head_.string_bytes, layout::string_bytes), '\0');
    const std::size_t got = source_.read(head_.strings_offset, strings.data(), strings.size());
    strings.resize(got);
    strings.push_back('\0');
    for (const PlaceEntry& entry :
         read_array<PlaceEntry>(head_.places_offset, std::min(head_.place_count, most_places), "places")) {
      if (entry.key == 0 || entry.file >= got || entry.function >= got) continue;
      recording_.places[entry.key] = {.file = text_at(strings, entry.file),
                                      .function = text_at(strings, entry.function),
                                      .line = entry.line,
                                      .is_name = entry.is_name == 1};
    }
  }

  /// No text is longer than those that are written.
  static std::string text_at(const std::string& strings, std::size_t at) {
    const std::string_view rest = std::string_view(strings).substr(at, longest_text);
    return std::string(rest.substr(0, rest.find('\0')));
  }

  // Rings follow each other. If they overlap, the same bytes would count many times.
  void read_rings() {
    std::vector<Found> found;
    std::uint64_t end = 0;
    for (const RingEntry& entry :
         read_array<RingEntry>(head_.rings_offset, std::min(head_.ring_count, most_rings), "rings")) {
      Found ring{.head = {}, .entry = entry};
      const bool may_be = entry.capacity > 0 && entry.capacity < most_capacity && entry.offset >= end;
      if (!may_be || !source_.get(entry.offset, ring.head)) {
        miss("rings");
        continue;
      }
      end = entry.offset + bytes_of_ring(entry.capacity);
      if (ring.head.number != 0) list_of(ring.head.holds, found).push_back(ring);
    }
    std::ranges::sort(found, {}, [](const Found& ring) { return ring.head.number; });
    for (const Found& ring : found) read_ring(ring);
    for (const Found& ring : times_) read_times(ring);
  }

  std::vector<Found>& list_of(Holds what, std::vector<Found>& events) {
    if (what == Holds::kept) return stores_;
    return what == Holds::times ? times_ : events;
  }

  // A worker needs some ten microseconds to write them. If it was killed meanwhile, they stay as they are.
  void read_times(Found ring) {
    constexpr int most_attempts = 100;
    std::vector<RecordedTimes> times;
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      if (attempt > 0 && !source_.get(ring.entry.offset, ring.head)) return miss("times");
      const bool is_being_written = ring.head.times_number % 2 != 0 && attempt + 1 < most_attempts;
      if (!is_being_written && copy_times(ring, times)) break;
    }
    std::ranges::move(times, std::back_inserter(recording_.times));
  }

  /// Returns false if they were written meanwhile.
  bool copy_times(const Found& ring, std::vector<RecordedTimes>& times) {
    times.clear();
    const std::uint64_t most = std::min(most_times, ring.entry.capacity * sizeof(Event) / sizeof(TimesEntry));
    for (std::uint64_t i = 0; i < std::min(ring.head.written, most); ++i) {
      auto entry = std::make_unique<TimesEntry>();
      if (!source_.get(ring.entry.offset + page + i * sizeof(TimesEntry), *entry)) return miss("times"), true;
      times.push_back({.tid = static_cast<int>(ring.head.tid),
                       .kind = text_of(entry->kind),
                       .stage = text_of(entry->stage),
                       .errors = entry->errors,
                       .ns_per_tick = scale_.ns_per_tick(),
                       .ticks = std::make_shared<Histogram>(entry->ticks)});
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    RingHead now;
    return !source_.get(ring.entry.offset, now) ||
           (now.number == ring.head.number && now.times_number == ring.head.times_number);
  }

  void read_ring(Found ring) {
    constexpr int most_attempts = 3;
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      if (ThreadRecording thread; copy_ring(ring, thread))
        return recording_.threads.push_back(std::move(thread));
      if (!source_.get(ring.entry.offset, ring.head)) return miss("rings");
    }
    miss("rings, which changed hands meanwhile");
  }

  // The store comes first, so that nothing which it has is newer than what the ring has.
  bool copy_ring(const Found& ring, ThreadRecording& thread) {
    const auto store =
        std::ranges::find(stores_, ring.head.number, [](const Found& one) { return one.head.number; });
    ThreadRecording kept;
    std::uint64_t first = 0;
    const bool has_store = store != stores_.end() && copy_events_of(*store, kept, first);
    if (!copy_events_of(ring, thread, first)) return false;
    thread.captured = ring.head.captured;
    thread.suppressed = ring.head.suppressed;
    if (has_store) merge_captures(thread, first, kept);
    return true;
  }

  /// Returns false if the ring got another owner meanwhile. `first` becomes the number of its first event.
  bool copy_events_of(const Found& ring, ThreadRecording& thread, std::uint64_t& first) {
    if (ring.head.number == 0) return false;
    const std::uint64_t capacity = ring.entry.capacity;
    const std::uint64_t end = ring.head.written;
    const std::uint64_t begin = end - std::min(end, capacity);
    thread = {.tid = static_cast<int>(ring.head.tid), .name = text_of(ring.head.name)};
    copy_events(ring, begin, end, thread);
    std::atomic_thread_fence(std::memory_order_acquire);
    RingHead now;
    if (!source_.get(ring.entry.offset, now)) now = ring.head;
    if (now.number != ring.head.number) return false;
    // The slots that the writer has claimed meanwhile may be half old and half new.
    const std::uint64_t first_whole = now.claimed - std::min(now.claimed, capacity);
    const std::uint64_t overtaken =
        std::min<std::uint64_t>(first_whole - std::min(first_whole, begin), thread.events.size());
    thread.events.erase(thread.events.begin(),
                        thread.events.begin() + static_cast<std::ptrdiff_t>(overtaken));
    first = begin + overtaken;
    thread.lost = ring.head.lost_before + first;
    return true;
  }

  void copy_events(const Found& ring, std::uint64_t begin, std::uint64_t end, ThreadRecording& thread) {
    constexpr std::uint64_t at_once = 4096;
    std::vector<Event> events;
    reserve_for(ring, begin, end, thread);
    for (std::uint64_t at = begin; at < end;) {
      const std::uint64_t slot = at % ring.entry.capacity;
      events.resize(std::min({at_once, end - at, ring.entry.capacity - slot}));
      const std::uint64_t offset = ring.entry.offset + page + slot * sizeof(Event);
      const std::size_t got = source_.read(offset, events.data(), events.size() * sizeof(Event));
      if (got < events.size() * sizeof(Event)) return miss("events");
      for (const Event& event : events) thread.events.push_back(timed(event, ring.head.clock));
      at += events.size();
    }
  }

  /// A vector that grows by doubling takes up to three times the memory. The file may lie about how many
  /// there are, so its last one must be there.
  void reserve_for(const Found& ring, std::uint64_t begin, std::uint64_t end, ThreadRecording& thread) {
    const std::uint64_t last = std::min(end, ring.entry.capacity);
    Event event;
    const bool is_there =
        last > 0 && source_.get(ring.entry.offset + page + (last - 1) * sizeof event, event);
    if (is_there) thread.events.reserve(end - begin);
  }

  [[nodiscard]] TimedEvent timed(const Event& event, RingClock clock) const {
    const Kind kind = kinds_[static_cast<std::size_t>(event.kind())];
    return {.ns = clock == RingClock::ticks ? scale_.ns(event.ticks)
                                            : believable_time(static_cast<std::int64_t>(event.ticks)),
            .id = event.id(),
            .a = event.a,
            .b = kind == Kind::kept && clock == RingClock::ticks ? in_ns(event.b) : event.b,
            .kind = kind,
            .opcode = event.opcode()};
  }

  /// Turns what a `kept` has there into nanoseconds. The last bit is no time.
  [[nodiscard]] std::uint64_t in_ns(std::uint64_t b) const {
    return static_cast<std::uint64_t>(scale_.ns(b >> 1)) << 1 | (b & 1);
  }

  void miss(std::string_view what) {
    if (recording_.incomplete.empty())
      recording_.incomplete = "the file ends before its " + std::string(what) + ", or they are damaged";
  }

  const ByteSource& source_;
  const FileHead& head_;
  TickScale scale_ = TickScale(head_.started, latest(head_));
  std::array<Kind, 256> kinds_{};
  std::vector<Found> stores_;
  std::vector<Found> times_;
  Recording recording_;
};

/// Reads the first page, while the process may be writing its moment.
bool read_first_page(const ByteSource& source, FileHead& head) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (!source.get(0, head)) return false;
    FileHead again;
    if (head.latest_number % 2 == 0 && source.get(0, again) && again.latest_number == head.latest_number)
      return true;
  }
  head.latest = head.started;
  return true;
}

}  // namespace

Result<FileHead> read_head(const ByteSource& source) {
  FileHead head;
  if (!read_first_page(source, head) || head.magic != magic) return failure(EBADMSG);
  if (head.version > version) return failure(EPROTONOSUPPORT);
  if (head.version == 0 || head.event_bytes != sizeof(Event)) return failure(EBADMSG);
  return head;
}

Result<Recording> read_recording(const ByteSource& source) {
  const Result<FileHead> head = read_head(source);
  if (!head) return std::unexpected(head.error());
  try {
    return RecordingReader(source, *head).read();
  } catch (const std::bad_alloc&) {
    return failure(ENOMEM);
  }
}

Result<Recording> open_recording(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return failure(errno);
  const FileSource source(fd.get());
  const Result<FileHead> head = read_head(source);
  if (head && lacks_moment(*head) && is_gone(*head) && is_of_this_boot(*head)) keep_moment(file, *head);
  return read_recording(source);
}

}  // namespace corering::trace
