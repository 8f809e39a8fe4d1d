/// recorder.cpp — the per-thread rings.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <unistd.h>

#include <corering/trace/recorder.hpp>

#include "trace/ticks.hpp"

namespace corering::trace {
namespace {

/// One thread writes it and any thread may read it: every word is a relaxed atomic. A reader that the writer
/// overtakes sees that from the write count, and drops the events that may be torn.
class Ring {
 public:
  Ring(std::size_t capacity, int tid, std::string name)
      : capacity_(capacity),
        events_(std::make_unique<Event[]>(capacity)),
        tid_(tid),
        name_(std::move(name)) {}

  void append(const Event& event) noexcept {
    const std::uint64_t at = written_.load(std::memory_order_relaxed);
    Event& slot = events_[at & (capacity_ - 1)];
    claimed_.store(at + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);  // who sees the new words sees the claim
    store(slot.ticks, event.ticks);
    store(slot.id_and_kind, event.id_and_kind);
    store(slot.a, event.a);
    store(slot.b, event.b);
    written_.store(at + 1, std::memory_order_release);
    // The ring is larger than the nearer caches. The prefetched line is here by the time it is needed.
    __builtin_prefetch(&events_[(at + prefetched) & (capacity_ - 1)], 1);
  }

  [[nodiscard]] ThreadRecording copy(const TickScale& scale) const {
    ThreadRecording recording{.tid = tid_, .name = name_};
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    const std::uint64_t begin = end - std::min<std::uint64_t>(end, capacity_);
    for (std::uint64_t at = begin; at != end; ++at) {
      const Event event = load(events_[at & (capacity_ - 1)]);
      recording.events.push_back({.ns = scale.ns(event.ticks),
                                  .id = event.id(),
                                  .a = event.a,
                                  .b = event.b,
                                  .kind = event.kind(),
                                  .opcode = event.opcode()});
    }
    drop_overtaken(recording, begin);
    return recording;
  }

 private:
  static constexpr std::uint64_t prefetched = 8;  // in events; that is four cache lines

  static void store(std::uint64_t& word, std::uint64_t value) noexcept {
    std::atomic_ref(word).store(value, std::memory_order_relaxed);
  }
  static Event load(Event& slot) noexcept {
    return {std::atomic_ref(slot.ticks).load(std::memory_order_relaxed),
            std::atomic_ref(slot.id_and_kind).load(std::memory_order_relaxed),
            std::atomic_ref(slot.a).load(std::memory_order_relaxed),
            std::atomic_ref(slot.b).load(std::memory_order_relaxed)};
  }

  // The slots that the writer has claimed meanwhile may be half old and half new.
  void drop_overtaken(ThreadRecording& recording, std::uint64_t begin) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t claimed = claimed_.load(std::memory_order_relaxed);
    const std::uint64_t first_whole = claimed < capacity_ ? 0 : claimed - capacity_;
    const std::uint64_t overtaken = first_whole > begin ? first_whole - begin : 0;
    const std::uint64_t dropped = std::min<std::uint64_t>(overtaken, recording.events.size());
    recording.events.erase(recording.events.begin(),
                           recording.events.begin() + static_cast<std::ptrdiff_t>(dropped));
    recording.lost = begin + dropped;
  }

  std::size_t capacity_;
  std::unique_ptr<Event[]> events_;
  int tid_;
  std::string name_;
  std::atomic<std::uint64_t> claimed_ = 0;  // events that have been begun
  std::atomic<std::uint64_t> written_ = 0;  // events that are complete
};

/// Every ring of the present recording. It is never destroyed, because threads may record while main ends.
struct Rings {
  std::mutex mutex;
  std::vector<std::shared_ptr<Ring>> all;
  std::size_t capacity = 0;
  ClockPair started;
};

/// Says which recording this is. It lies outside Rings, so that reading it need not ask whether Rings exists
/// yet.
constinit std::atomic<std::uint64_t> generation = 0;

Rings& rings() noexcept {
  static Rings& instance = *new Rings;
  return instance;
}

/// The calling thread's ring, if it belongs to the present recording. It has no destructor, so that reading
/// it need not ask whether it exists yet. ThreadRing keeps the ring alive.
struct OwnRing {
  Ring* ring = nullptr;
  std::uint64_t generation = 0;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local OwnRing own;
constinit thread_local bool thread_is_ending = false;

struct ThreadRing {
  ThreadRing() noexcept = default;
  ThreadRing(ThreadRing&&) = delete;
  ~ThreadRing() {
    own = {};
    thread_is_ending = true;
  }
  std::shared_ptr<Ring> ring;
};

std::string thread_name() {
  std::array<char, 16> name{};
  pthread_getname_np(pthread_self(), name.data(), name.size());
  return name.data();
}

/// Returns a ring of the present recording. Returns null when the thread is ending; then what the thread
/// records is lost.
[[gnu::noinline]] Ring* make_ring() noexcept {
  if (thread_is_ending) return nullptr;
  static thread_local ThreadRing mine;
  const std::lock_guard lock(rings().mutex);
  mine.ring = std::make_shared<Ring>(rings().capacity, gettid(), thread_name());
  own = {.ring = mine.ring.get(), .generation = generation.load(std::memory_order_relaxed)};
  rings().all.push_back(mine.ring);
  return own.ring;
}

}  // namespace

void start(std::size_t events_per_thread) {
  const std::lock_guard lock(rings().mutex);
  rings().all.clear();
  rings().capacity = std::bit_ceil(std::max<std::size_t>(events_per_thread, 2));
  rings().started = ClockPair::now();
  generation.fetch_add(1, std::memory_order_release);
  recorder::on.store(true, std::memory_order_relaxed);
}

void stop() noexcept { recorder::on.store(false, std::memory_order_relaxed); }

std::uint64_t stamp() noexcept { return ticks_now(); }

[[gnu::noinline]] void record(Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a,
                              std::uint64_t b) noexcept {
  record_at(ticks_now(), kind, opcode, id, a, b);
}

void record_at(std::uint64_t stamp, Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a,
               std::uint64_t b) noexcept {
  const std::uint64_t what = (static_cast<std::uint64_t>(kind) << 56) |
                             (static_cast<std::uint64_t>(opcode) << 48) |
                             (reinterpret_cast<std::uintptr_t>(id) & Event::id_mask);
  Ring* ring = own.ring;
  if (own.generation != generation.load(std::memory_order_acquire)) [[unlikely]]
    ring = make_ring();
  if (ring != nullptr) ring->append({stamp, what, a, b});
}

std::vector<ThreadRecording> snapshot() {
  const std::lock_guard lock(rings().mutex);
  const TickScale scale(rings().started, ClockPair::now());
  std::vector<ThreadRecording> recordings;
  for (const auto& ring : rings().all) recordings.push_back(ring->copy(scale));
  return recordings;
}

}  // namespace corering::trace
