/// recorder.cpp — which thread records where, and who wants it to.
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/trace/recorder.hpp>

#include "base/immortal.hpp"
#include "trace/capture_limits.hpp"
#include "trace/captures.hpp"
#include "trace/probes.hpp"
#include "trace/read_recording.hpp"
#include "trace/settings.hpp"
#include "trace/thread_ring.hpp"
#include "trace/ticks.hpp"
#include "trace/trace_file.hpp"

namespace corering::trace {

static_assert(sizeof(recorder::ControlPage) == layout::page);

namespace {

#if defined(CORERING_NO_TRACE)
constexpr bool can_record = false;
#else
constexpr bool can_record = true;
#endif

constexpr std::size_t most_events_per_thread = std::size_t{1} << 26;

/// A thread's ring, and what is kept of it.
struct RecordedThread : ThreadRing {
  using ThreadRing::ThreadRing;

  void give_to(std::uint64_t number, int tid, std::string_view name) noexcept {
    ThreadRing::give_to(number, tid, name);
    if (captures != nullptr) captures->give_to(number);
    if (times != nullptr) times->give_to(number, tid, name);
    asked_for_captures = asked_for_times = false;
  }

  /// Returns how much of the file is its own.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return layout::bytes_of_ring(capacity()) +
           (captures != nullptr ? layout::bytes_of_ring(layout::store_capacity) : 0) +
           (times != nullptr ? layout::bytes_of_ring(times_size) : 0);
  }

  static constexpr std::uint64_t times_size = layout::most_times * sizeof(layout::TimesEntry) / sizeof(Event);

  // These are made when they are first needed. Where there was no room, the thread does not ask again.
  std::unique_ptr<Captures> captures;
  std::unique_ptr<ThreadRing> times;
  bool asked_for_captures = false;
  bool asked_for_times = false;
};

/// Every ring of the present recording. A thread that is new gets the ring of the thread that ended longest
/// ago, if many have ended: so a program whose threads come and go does not fill its memory with them.
struct Rings {
  using List = std::vector<std::shared_ptr<RecordedThread>>;

  /// Returns a ring for the calling thread, which is in the list; or null.
  std::shared_ptr<RecordedThread> make(bool populate, int tid, std::string_view name) {
    of_running.reserve(of_running.size() + 1);
    of_ended.reserve(of_ended.size() + of_running.size() + 1);  // so that ended() needs no memory
    std::shared_ptr<RecordedThread> ring = keeps_enough() ? nullptr : make_new(populate);
    if (ring == nullptr && !of_ended.empty()) {
      ring = std::move(of_ended.front());
      of_ended.erase(of_ended.begin());
    }
    if (ring == nullptr) return nullptr;
    ring->give_to(++made, tid, name);
    of_running.push_back(ring);
    return ring;
  }

  [[nodiscard]] bool keeps_enough() const noexcept {
    if (of_running.size() + of_ended.size() >= layout::most_threads) return true;
    std::size_t bytes = 0;
    for (const auto& ring : of_ended) bytes += ring->bytes();
    return of_ended.size() >= least_of_ended && bytes + capacity * sizeof(Event) > most_bytes_of_ended;
  }

  void make_captures(RecordedThread& ring, bool populate) {
    SharedMap map = file != nullptr ? file->add_ring(layout::store_capacity, populate) : SharedMap();
    if (!map.is_open()) return;
    ring.captures = std::make_unique<Captures>(ThreadRing(std::move(map), layout::store_capacity));
    ring.captures->give_to(ring.head().number);
  }

  void make_times(RecordedThread& ring) {
    constexpr std::uint64_t size = RecordedThread::times_size;
    SharedMap map = file != nullptr ? file->add_ring(size, false) : SharedMap();
    if (!map.is_open()) return;
    ring.times = std::make_unique<ThreadRing>(std::move(map), size);
    ring.times->set_what_it_holds(layout::Holds::times);
    ring.times->give_to(ring.head().number, static_cast<int>(ring.head().tid), ring.head().name.data());
  }

  std::shared_ptr<RecordedThread> make_new(bool populate) {
    if (file == nullptr) return nullptr;
    SharedMap map = file->add_ring(capacity, populate);
    return map.is_open() ? std::make_shared<RecordedThread>(std::move(map), capacity) : nullptr;
  }

  void ended(const std::shared_ptr<RecordedThread>& ring) noexcept {
    const auto found = std::ranges::find(of_running, ring);
    if (found == of_running.end()) return;  // it belongs to an earlier recording
    CORERING_ASSERT(of_ended.size() < of_ended.capacity(), "there is room for each ring that is in use");
    of_ended.push_back(std::move(*found));
    of_running.erase(found);
  }

  static constexpr std::size_t most_bytes_of_ended = 32U << 20;
  static constexpr std::size_t least_of_ended = 4;

  std::mutex mutex;
  List of_running;
  List of_ended;           // the one that ended longest ago comes first
  std::uint64_t made = 0;  // how many threads have got a ring
  std::size_t capacity = usual_events_per_thread;
  std::shared_ptr<TraceFile> file;
  std::vector<std::shared_ptr<TraceFile>> earlier;  // their heads stay mapped: somebody may look into them
  Level own_level = Level::off;                     // what start() has added to the control page
  bool knows_environment = false;
};

/// Says which recording this is. It lies outside Rings, so that reading it need not ask whether Rings exists
/// yet.
constinit std::atomic<std::uint64_t> generation = 0;
constinit std::atomic<TraceFile*> present = nullptr;
/// True if the probes have added their wish to the control page.
constinit std::atomic<bool> probes_want = false;

Rings& rings() noexcept {
  static constinit Immortal<Rings> instance;
  return instance.object;
}

/// The calling thread's ring, if it belongs to the present recording. It has no destructor, so that reading
/// it need not ask whether it exists yet. KeptRing keeps the ring alive.
struct OwnRing {
  RecordedThread* ring = nullptr;
  std::uint64_t generation = 0;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local OwnRing own;
constinit thread_local bool thread_is_ending = false;

struct KeptRing {
  KeptRing() noexcept = default;
  KeptRing(KeptRing&&) = delete;
  ~KeptRing() {
    own = {};
    thread_is_ending = true;
    const std::lock_guard lock(rings().mutex);
    rings().ended(ring);
    if (rings().file != nullptr) rings().file->note_moment();  // it may be the last one
  }
  std::shared_ptr<RecordedThread> ring;
};

/// Returns a ring of the present recording. Returns null when the thread is ending, or when there is no
/// memory; then what the thread records is counted only.
[[gnu::noinline]] RecordedThread* make_ring(bool populate) noexcept {
  if (thread_is_ending) return nullptr;
  static thread_local KeptRing mine;
  std::array<char, 16> name{};
  pthread_getname_np(pthread_self(), name.data(), name.size());
  const std::lock_guard lock(rings().mutex);
  try {
    mine.ring = rings().make(populate, gettid(), name.data());
  } catch (const std::bad_alloc&) {
    mine.ring = nullptr;
  }
  own = {.ring = mine.ring.get(), .generation = generation.load(std::memory_order_relaxed)};
  return own.ring;
}

bool is_ready() noexcept { return own.generation == generation.load(std::memory_order_acquire); }

/// Returns null where there is no room, or when the thread is ending.
[[gnu::noinline]] Captures* captures_of_thread(bool populate) noexcept {
  RecordedThread* const ring = is_ready() ? own.ring : make_ring(populate);
  if (ring == nullptr) return nullptr;
  if (std::exchange(ring->asked_for_captures, true) || ring->captures != nullptr) return ring->captures.get();
  const std::lock_guard lock(rings().mutex);
  try {
    rings().make_captures(*ring, populate);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return ring->captures.get();
}

void count_unrecorded() noexcept {
  if (TraceFile* const file = present.load(std::memory_order_acquire); file != nullptr)
    std::atomic_ref(file->head().unrecorded).fetch_add(1, std::memory_order_relaxed);
}

// ---- fork ----

// The control page of the parent is not the child's, and its rings neither. Whoever records in the child
// makes a file of its own.
bool map_control(int fd) noexcept {
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(layout::page)) return errno = ENOTSUP, false;
  const int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
  return ::mmap(&recorder::control, layout::page, PROT_READ | PROT_WRITE, flags, fd,
                fd < 0 ? 0 : layout::control_offset) == &recorder::control;
}

void before_fork() noexcept { rings().mutex.lock(); }
void after_fork_in_parent() noexcept { rings().mutex.unlock(); }
void after_fork_in_child() noexcept {
  Rings& all = rings();
  (void)map_control(-1);
  present.store(nullptr, std::memory_order_relaxed);
  generation.fetch_add(1, std::memory_order_relaxed);
  all.of_running.clear();
  all.of_ended.clear();
  all.file.reset();
  all.own_level = Level::off;
  probes_want.store(false, std::memory_order_relaxed);
  all.knows_environment = false;
  all.mutex.unlock();
}

void watch_for_forks() noexcept {
  static const int registered = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)registered;
}

// ---- who wants it ----

layout::Control& control() noexcept { return reinterpret_cast<layout::Control&>(recorder::control); }

void want(Rings& all, Level level) noexcept {
  control().add(level);
  control().take_back(std::exchange(all.own_level, level));
}

/// Makes `file` the one into which is recorded. Those who attached to the earlier one stay there.
bool use(Rings& all, std::shared_ptr<TraceFile> file) {
  watch_for_forks();
  if (!map_control(file->descriptor())) return false;
  all.own_level = Level::off;
  probes_want.store(false, std::memory_order_relaxed);
  if (all.file != nullptr) {
    all.file->head().pid = 0;  // nobody attaches to it any more
    all.earlier.push_back(std::move(all.file));
  }
  all.file = std::move(file);
  present.store(all.file.get(), std::memory_order_release);
  return true;
}

/// Forgets the past, in the same file if it is in memory, or else in a new one.
Result<void> begin_file(Rings& all, const std::filesystem::path& wanted) {
  if (wanted.empty() && all.file != nullptr && all.file->path().empty()) {
    all.file->forget_rings();
    return {};
  }
  int error = 0;
  std::shared_ptr<TraceFile> file = TraceFile::create(file_to_use(wanted), error);
  if (file == nullptr) return failure(-error);
  return use(all, std::move(file)) ? Result<void>() : failure(errno);
}

Result<void> begin(Rings& all, const Options& options) {
  if (options.events_per_thread > most_events_per_thread) return failure(EINVAL);
  if (options.capture.keeps_something() && options.level != Level::full) return failure(EINVAL);
  if (const Result<void> begun = begin_file(all, options.file); !begun) return begun;
  all.of_running.clear();
  all.of_ended.clear();
  all.made = 0;
  all.capacity = std::bit_ceil(std::max<std::size_t>(options.events_per_thread, 2));
  set_capture(options.capture);
  generation.fetch_add(1, std::memory_order_release);
  want(all, options.level);
  return {};
}

Result<void> begin_as_environment_says(Rings& all) {
  // What the program has begun by itself goes on.
  if (std::exchange(all.knows_environment, true) || all.own_level != Level::off) return {};
  const Result<std::optional<Options>> wanted = settings_of_environment();
  if (!wanted) return std::unexpected(wanted.error());
  if (*wanted) return begin(all, **wanted);
  return all.file != nullptr ? Result<void>() : begin(all, {.level = Level::off});
}

}  // namespace

Result<void> start(const Options& options) {
  if (!can_record) return failure(ENOTSUP);
  const std::lock_guard lock(rings().mutex);
  try {
    return begin(rings(), options);
  } catch (const std::bad_alloc&) {
    return failure(ENOMEM);
  }
}

Result<void> start(std::size_t events_per_thread) { return start({.events_per_thread = events_per_thread}); }

void stop() noexcept {
  const std::lock_guard lock(rings().mutex);
  want(rings(), Level::off);
  if (rings().file != nullptr) rings().file->note_moment();
}

std::filesystem::path file() {
  const std::lock_guard lock(rings().mutex);
  return rings().file != nullptr ? rings().file->path() : std::filesystem::path();
}

void follow_probes() noexcept {
  if (probes_are_looked_at() == probes_want.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(rings().mutex);
  const bool wanted = probes_are_looked_at();
  if (probes_want.exchange(wanted, std::memory_order_relaxed) == wanted) return;
  if (wanted) return control().add(Level::full);
  CORERING_DEBUG_ASSERT(enabled(), "the probes have added a wish, and nobody else takes it back");
  control().take_back(Level::full);
}

namespace {
Result<void> begin_if_asked() noexcept {
  const std::lock_guard lock(rings().mutex);
  try {
    const Result<void> begun = begin_as_environment_says(rings());
    if (!begun) say_why_not(begun.error());
    return begun;
  } catch (const std::exception&) {
    return failure(ENOMEM);
  }
}
}  // namespace

Result<void> start_as_environment_says() noexcept {
  if (!can_record) return {};
  const Result<void> begun = begin_if_asked();
  follow_probes();
  return begun;
}

std::uint64_t stamp() noexcept { return ticks_now(); }

namespace {

[[gnu::noinline]] void record_by_clock(Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a,
                                       std::uint64_t b) noexcept {
  record_at(ticks_now(), kind, opcode, id, a, b);
}

}  // namespace

[[gnu::noinline]] void record(Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a,
                              std::uint64_t b) noexcept {
  if (!use_tsc) [[unlikely]]
    return record_by_clock(kind, opcode, id, a, b);
  record_at(ticks_now(), kind, opcode, id, a, b);
}

namespace {

[[gnu::noinline]] void note_moment() noexcept { present.load(std::memory_order_acquire)->note_moment(); }

[[gnu::always_inline]] inline void append(ThreadRing& ring, const Event& event) noexcept {
  constexpr std::uint64_t events_between_moments = 4096;
  if (ring.append(event) % events_between_moments == 0) [[unlikely]]
    note_moment();
}

// The words come one by one, since a whole event would come in memory.
[[gnu::noinline]] void append_slowly(std::uint64_t stamp, std::uint64_t what, std::uint64_t a,
                                     std::uint64_t b) noexcept {
  const Event event{stamp, what, a, b};
  if (probes_are_looked_at())
    pass_probe(event.kind(), event.opcode(), event.id_and_kind & Event::id_mask, event.a, event.b);
  ThreadRing* const ring = is_ready() ? own.ring : make_ring(false);
  if (ring == nullptr) return count_unrecorded();
  append(*ring, event);
}

}  // namespace

// Whatever is rare is a call of its own at the end, so that nothing has to be kept across it.
void record_at(std::uint64_t stamp, Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a,
               std::uint64_t b) noexcept {
  CORERING_DEBUG_ASSERT(kind < Kind::count_, "what is recorded has a name in the schema");
  const std::uint64_t what = (static_cast<std::uint64_t>(kind) << 56) |
                             (static_cast<std::uint64_t>(opcode) << 48) |
                             (reinterpret_cast<std::uintptr_t>(id) & Event::id_mask);
  ThreadRing* const ring = own.ring;
  if (probes_are_looked_at() || !is_ready() || ring == nullptr) [[unlikely]]
    return append_slowly(stamp, what, a, b);
  append(*ring, {stamp, what, a, b});
}

void prepare_this_thread() noexcept {
  if (enabled() && !is_ready()) make_ring(true);
  if (captures()) (void)captures_of_thread(true);
}

// ---- what is kept ----

void set_capture(const Capture& capture) noexcept { set_limits(recorder::control.limits, capture); }

void notice(const Noticed& noticed) noexcept {
  if (Captures* const captures = captures_of_thread(false); captures != nullptr)
    return captures->notice(noticed, *own.ring);
  if (!is_ready() || own.ring == nullptr) return count_unrecorded();
  std::atomic_ref(own.ring->head().suppressed).fetch_add(1, std::memory_order_relaxed);
}

namespace {
bool has_captures() noexcept { return is_ready() && own.ring != nullptr && own.ring->captures != nullptr; }
}  // namespace

void keep_what_was_noticed() noexcept {
  if (has_captures()) own.ring->captures->keep(*own.ring);
}

// What was slow in the same turn is kept when the turn is over.
void keep_since(std::uint64_t stamp) noexcept {
  if (!enabled()) return;
  notice({.why = KeptFor::asked, .since = stamp, .now = ticks_now()});
  if (has_captures()) own.ring->captures->keep(KeptFor::asked, *own.ring);
}

// ---- times ----

namespace {

ThreadRing* times_of_thread() noexcept {
  RecordedThread* const ring = is_ready() ? own.ring : make_ring(false);
  if (ring == nullptr) return nullptr;
  if (std::exchange(ring->asked_for_times, true) || ring->times != nullptr) return ring->times.get();
  const std::lock_guard lock(rings().mutex);
  try {
    rings().make_times(*ring);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return ring->times.get();
}

bool is_of(const layout::TimesEntry& entry, const ShownTimes& times) noexcept {
  return times.kind == entry.kind.data() && times.stage == entry.stage.data();
}

/// Returns the place of this kind and stage, which it keeps as long as the thread lives; or null if there is
/// no room for another one.
layout::TimesEntry* place_of(ThreadRing& ring, const ShownTimes& times) noexcept {
  const std::uint64_t count = ring.end();
  for (std::uint64_t i = 0; i < count; ++i) {
    if (is_of(ring.times(i), times)) return &ring.times(i);
  }
  if (count == layout::most_times) return nullptr;
  layout::TimesEntry& entry = ring.times(count);
  entry.kind[times.kind.copy(entry.kind.data(), entry.kind.size() - 1)] = '\0';
  entry.stage[times.stage.copy(entry.stage.data(), entry.stage.size() - 1)] = '\0';
  ring.set_count_of_times(count + 1);
  return &entry;
}

void show(ThreadRing& ring, const ShownTimes& times) noexcept {
  layout::TimesEntry* const entry = place_of(ring, times);
  if (entry == nullptr) return;
  entry->errors = times.errors;
  std::memcpy(static_cast<void*>(&entry->ticks), static_cast<const void*>(times.ticks), sizeof entry->ticks);
}

}  // namespace

void show_times(std::span<const ShownTimes> times) noexcept {
  if (!can_record || times.empty()) return;
  ThreadRing* const ring = times_of_thread();
  if (ring == nullptr) return;
  CORERING_DEBUG_ASSERT(present.load() != nullptr, "a ring lies in a file");
  ring->begin_times();
  for (const ShownTimes& one : times) show(*ring, one);
  ring->end_times();
  present.load(std::memory_order_acquire)->note_moment();
}

// ---- places ----

namespace {

[[gnu::noinline]] std::uint64_t add_place(std::uint64_t key, bool is_name, const char* file,
                                          const char* function, std::uint32_t line) noexcept {
  const std::lock_guard lock(rings().mutex);
  if (rings().file != nullptr) rings().file->add_place(key, is_name, file, function, line);
  return key;
}

bool is_known(std::uint64_t key) noexcept {
  const TraceFile* const file = present.load(std::memory_order_acquire);
  return file == nullptr || file->has_place(key);
}

/// Spreads what differs in the low bits over all of them. No key is zero.
std::uint64_t spread(const void* text, std::uint32_t line) noexcept {
  constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15;
  return ((reinterpret_cast<std::uintptr_t>(text) + (std::uint64_t{line} << 47)) * odd) | 1;
}

}  // namespace

std::uint64_t key_of(std::source_location where) noexcept {
  const std::uint64_t key = spread(where.file_name(), where.line());
  return is_known(key) ? key : add_place(key, false, where.file_name(), where.function_name(), where.line());
}

std::uint64_t key_of(std::source_location where, const char* name) noexcept {
  if (name == nullptr) return key_of(where);
  const std::uint64_t key = spread(name, where.line());
  return is_known(key) ? key : add_place(key, true, where.file_name(), name, where.line());
}

std::uint64_t key_of(const char* name) noexcept {
  const std::uint64_t key = spread(name, 0);
  return is_known(key) ? key : add_place(key, true, "", name, 0);
}

void note_kernel(std::string_view name) noexcept {
  const std::lock_guard lock(rings().mutex);
  if (rings().file == nullptr) return;
  auto& kernel = rings().file->head().kernel;
  kernel[name.copy(kernel.data(), kernel.size() - 1)] = '\0';
}

// ---- reading it meanwhile ----

Recording recording() {
  const std::shared_ptr<TraceFile> file = [] {
    const std::lock_guard lock(rings().mutex);
    return rings().file;
  }();
  if (file == nullptr) return {};
  file->note_moment();
  Result<Recording> read = read_recording(FileSource(file->descriptor()));
  return read ? std::move(*read) : Recording{.incomplete = read.error().message()};
}

std::vector<ThreadRecording> snapshot() { return recording().threads; }

}  // namespace corering::trace
