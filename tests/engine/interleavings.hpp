/// interleavings.hpp — runs a small program of several threads in every order of its atomic steps.
///
/// The threads are fibers of one OS thread. Each atomic operation is a step, and whoever may step next is a
/// choice. All choices are tried; what leads to a state that was seen before is not followed again. A plain
/// store waits in its thread's store buffer until a step of its own makes it visible, as on x86. What
/// happens before what is counted with vector clocks, from the orders that the operations name, so that an
/// order that is too weak shows as a race on a Watched variable, on every machine.
#pragma once

#include <array>
#include <atomic>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <ucontext.h>
#include <unordered_set>
#include <vector>

namespace corering::test {

inline constexpr std::size_t most_threads = 5;

/// What a thread knows to have happened: so many steps of each thread.
struct Knowledge {
  std::array<std::uint8_t, most_threads> steps{};
  void learn(const Knowledge& other) noexcept {
    for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = std::max(steps[i], other.steps[i]);
  }
};

/// An atomic variable: its value, and what those know who acquire it.
struct Place {
  std::uint64_t value = 0;
  Knowledge released;
};

/// A plain variable: who wrote it last, and who has read it since, each in which step.
struct Usage {
  std::array<std::uint8_t, most_threads> wrote{}, read{};
};

class Interleavings {
 public:
  struct Outcome {
    std::size_t states = 0;
    std::string failure;  ///< the first one, or empty
  };

  /// `Program` is made for each run. It has a constant `threads`, run(thread), and failure(), which is
  /// asked at the end of a run. If `loads_are_steps` is false, a load goes with the step that follows. Then
  /// fewer orders are tried: not those in which a compare-and-exchange fails because its load was long ago.
  template <class Program>
  static Outcome explore(bool loads_are_steps = true, std::size_t most_states = 20'000'000) {
    Interleavings here;
    here.loads_are_steps_ = loads_are_steps;
    current_ = &here;
    here.make_ = [](void* at) { new (at) Program; };
    here.run_ = [](void* at, std::size_t thread) { static_cast<Program*>(at)->run(thread); };
    here.failure_of_ = [](void* at) { return static_cast<Program*>(at)->failure(); };
    here.memory_.resize(sizeof(Program) + 64);
    here.threads_.resize(Program::threads);
    here.explore_all(most_states);
    current_ = nullptr;
    return {here.seen_.size(), here.failure_};
  }

  [[nodiscard]] static Interleavings* current() noexcept { return current_; }

  // ---- for the operations of the program ----

  std::size_t add_place(std::uint64_t value) {
    places_.push_back({.value = value, .released = {}});
    return places_.size() - 1;
  }
  std::size_t add_variable() {
    variables_.emplace_back();
    return variables_.size() - 1;
  }

  std::uint64_t load(std::size_t place, bool acquires) {
    if (loads_are_steps_) next_step();
    Thread& me = running();
    for (auto at = me.stores.rbegin(); at != me.stores.rend(); ++at) {
      if (at->place == place) return note(at->value);
    }
    if (acquires) me.knows.learn(places_[place].released);
    return note(places_[place].value);
  }
  void store(std::size_t place, std::uint64_t value, bool releases, bool at_once) {
    next_step();
    running().stores.push_back({place, value, releases ? running().knows : Knowledge()});
    if (at_once) drain();
    ++running().knows.steps[running_];
  }
  /// A read-modify-write: `change` returns false if nothing is to be written. Returns the value before.
  template <class Change>
  std::uint64_t modify(std::size_t place, bool acquires, bool releases, Change change) {
    next_step();
    drain();
    Place& at = places_[place];
    const std::uint64_t before = at.value;
    if (acquires) running().knows.learn(at.released);
    if (change(at.value) && releases) at.released.learn(running().knows);
    ++running().knows.steps[running_];  // what follows was not released
    return note(before);
  }
  /// Waits until the place is not 0, and sets it to 0. With `may_give_up`, it may also end without that.
  void wait_for(std::size_t place, bool may_give_up) {
    running().waits_for = may_give_up ? no_place : place;
    next_step();
    running().waits_for = no_place;
    drain();
    running().knows.learn(places_[place].released);
    note(std::exchange(places_[place].value, 0));
  }

  /// Waits until the place has the value, and learns nothing by that: the load after it does.
  void wait_until(std::size_t place, std::uint64_t value) {
    running().waits_for = place;
    running().wanted = value;
    next_step();
    running().waits_for = no_place;
    running().wanted = no_value;
    note(value);
  }

  /// The running thread's own state is `digest` now, whatever it has read before. Fewer states differ then.
  void checkpoint(std::uint64_t digest) noexcept { running().history = running().begin = digest; }
  /// A try has failed, and the thread remembers of it only this value: it is as if it had just loaded it.
  void try_again(std::uint64_t value) noexcept {
    running().history = running().begin;
    note(value);
  }

  void note_write(std::size_t variable) {
    Usage& usage = variables_[variable];
    if (!knows_all(usage.wrote) || !knows_all(usage.read)) fail("a race: written, and others do not know");
    usage.wrote = usage.read = {};
    usage.wrote[running_] = own_step();
  }
  void note_read(std::size_t variable) {
    if (!knows_all(variables_[variable].wrote)) fail("a race: read, and who wrote it is not known");
    variables_[variable].read[running_] = own_step();
  }

 private:
  static constexpr std::size_t no_place = ~std::size_t{0};
  static constexpr std::uint64_t no_value = ~std::uint64_t{0};
  static constexpr std::size_t stack_size = 64 * 1024;

  struct Store {
    std::size_t place;
    std::uint64_t value;
    Knowledge released;
  };
  struct Thread {
    std::unique_ptr<char[]> stack = std::make_unique<char[]>(stack_size);
    ucontext_t context{};
    std::jmp_buf at{};
    bool has_begun = false;
    bool has_ended = false;
    std::size_t waits_for = no_place;
    std::uint64_t wanted = no_value;  // without one, anything but 0
    std::uint64_t begin = 0;          // the history at the last checkpoint
    std::uint64_t history = 0;        // a hash of all that it has read: with it, its own state is known
    Knowledge knows;
    std::deque<Store> stores;
  };
  /// Who makes the next step: a thread, or (with most_threads added) the store buffer of a thread.
  using Choice = std::uint8_t;

  Thread& running() noexcept { return threads_[running_]; }
  std::uint8_t own_step() noexcept { return running().knows.steps[running_]; }
  bool knows_all(const std::array<std::uint8_t, most_threads>& steps) noexcept {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i] > running().knows.steps[i]) return false;
    }
    return true;
  }
  std::uint64_t note(std::uint64_t value) noexcept {
    running().history = mix(running().history, value + 1);
    return value;
  }
  void fail(const char* what) {
    if (failure_.empty()) failure_ = what;
  }

  void flush_one(Thread& thread) {
    const Store store = thread.stores.front();
    thread.stores.pop_front();
    places_[store.place] = {store.value, store.released};
  }
  void drain() {
    while (!running().stores.empty()) flush_one(running());
  }

  // ---- fibers ----

  static void enter_fiber() {
    Interleavings& here = *current_;
    here.run_(here.program(), here.running_);
    here.running().has_ended = true;
    std::longjmp(here.scheduler_, 1);
  }
  /// Gives the turn back; the operation goes on when the thread is chosen.
  void next_step() {
    if (_setjmp(running().at) == 0) std::longjmp(scheduler_, 1);
    ++running().knows.steps[running_];
  }
  void step(Choice choice) {
    if (choice >= most_threads) return flush_one(threads_[choice - most_threads]);
    running_ = choice;
    if (_setjmp(scheduler_) != 0) return;
    if (running().has_begun) std::longjmp(running().at, 1);
    running().has_begun = true;
    ::getcontext(&running().context);
    running().context.uc_stack.ss_sp = running().stack.get();
    running().context.uc_stack.ss_size = stack_size;
    ::makecontext(&running().context, enter_fiber, 0);
    ::setcontext(&running().context);
  }

  // ---- the search ----

  void* program() {
    void* at = memory_.data();
    std::size_t room = memory_.size();
    return std::align(64, memory_.size() - 64, at, room);
  }
  void restart() {
    places_.clear();
    variables_.clear();
    make_(program());
    for (Thread& thread : threads_) {
      thread.has_begun = thread.has_ended = false;
      thread.waits_for = no_place;
      thread.wanted = no_value;
      thread.begin = thread.history = 0;
      thread.knows = {};
      thread.stores.clear();
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      threads_[i].knows.steps[i] = 1;  // what it does first is known to nobody else
      step(static_cast<Choice>(i));    // to its first operation
    }
  }
  [[nodiscard]] bool waits(const Thread& thread) const {
    if (thread.waits_for == no_place) return false;
    const std::uint64_t value = places_[thread.waits_for].value;
    return thread.wanted == no_value ? value == 0 : value != thread.wanted;
  }
  [[nodiscard]] std::vector<Choice> choices() const {
    std::vector<Choice> possible;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const Thread& thread = threads_[i];
      if (!thread.has_ended && !waits(thread)) possible.push_back(static_cast<Choice>(i));
      if (!thread.stores.empty()) possible.push_back(static_cast<Choice>(i + most_threads));
    }
    return possible;
  }
  void explore_all(std::size_t most_states) {
    std::vector<std::vector<Choice>> open = {{}};
    while (!open.empty() && failure_.empty()) {
      std::vector<Choice> path = std::move(open.back());
      open.pop_back();
      restart();
      for (const Choice choice : path) step(choice);
      follow(std::move(path), open);
      if (seen_.size() > most_states) fail("too many states");
    }
  }
  void follow(std::vector<Choice> path, std::vector<std::vector<Choice>>& open) {
    while (failure_.empty() && seen_.insert(state()).second) {
      const std::vector<Choice> possible = choices();
      if (possible.empty()) return end();
      for (std::size_t i = 1; i < possible.size(); ++i) {
        open.push_back(path);
        open.back().push_back(possible[i]);
      }
      path.push_back(possible[0]);
      step(possible[0]);
    }
  }
  void end() {
    for (const Thread& thread : threads_) {
      if (!thread.has_ended) return fail("a thread waits for ever");
    }
    failure_ = failure_of_(program());
  }

  // ---- the state, as a hash of 64 bits ----

  static std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 29);
  }
  // The numbers of the steps do not matter, only which uses of the variables are known.
  [[nodiscard]] std::uint64_t mix_known(std::uint64_t hash, const Knowledge& knowledge) const noexcept {
    for (const Usage& usage : variables_) {
      std::uint64_t known = 1;
      for (std::size_t i = 0; i < threads_.size(); ++i) {
        known = known * 4 + (usage.wrote[i] <= knowledge.steps[i] ? 2 : 0) +
                (usage.read[i] <= knowledge.steps[i] ? 1 : 0);
      }
      hash = mix(hash, known);
    }
    return hash;
  }
  [[nodiscard]] std::uint64_t state() const {
    std::uint64_t hash = 1;
    for (const Thread& thread : threads_) {
      hash = mix_known(mix(hash, thread.history * 2 + (thread.has_ended ? 1 : 0)), thread.knows);
      for (const Store& store : thread.stores)
        hash = mix_known(mix(mix(hash, store.place), store.value), store.released);
    }
    for (const Place& place : places_) hash = mix_known(mix(hash, place.value), place.released);
    return hash;
  }

  static inline Interleavings* current_ = nullptr;

  void (*make_)(void*) = nullptr;
  void (*run_)(void*, std::size_t) = nullptr;
  std::string (*failure_of_)(void*) = nullptr;
  std::vector<char> memory_;
  std::vector<Thread> threads_;
  std::vector<Place> places_;
  std::vector<Usage> variables_;
  std::unordered_set<std::uint64_t> seen_;
  std::jmp_buf scheduler_{};
  std::size_t running_ = 0;
  bool loads_are_steps_ = true;
  std::string failure_;
};

/// Which order, or which check, an Explored atomic leaves out.
enum class Weakened : std::uint8_t {
  nothing,
  release_of_push,
  acquire_of_push,
  acquire_of_take,
  release_of_mark,
  check_of_mark,  ///< the mark is left whatever the queue holds
  release_of_wake,
  acquire_of_wake,
};

/// Stands for std::atomic<T> in the queue that is explored.
template <class T, Weakened weakened>
class Explored {
 public:
  Explored(T value) : place_(Interleavings::current()->add_place(bits(value))) {}

  T load(std::memory_order order) const {
    return value(here().load(place_, acquires(order) && weakened != Weakened::acquire_of_wake));
  }
  void store(T value, std::memory_order order) {
    here().store(place_, bits(value), releases(order), order == std::memory_order_seq_cst);
  }
  T exchange(T next, std::memory_order order) {
    const bool acquiring = acquires(order) && weakened != Weakened::acquire_of_take;
    return value(here().modify(place_, acquiring, releases(order),
                               [next](std::uint64_t& at) { return at = bits(next), true; }));
  }
  /// Waits until it is not 0, and sets it to 0. With `may_give_up` it may also end at once.
  void wait(bool may_give_up) { here().wait_for(place_, may_give_up); }
  void wait_until(T value) { here().wait_until(place_, bits(value)); }
  T fetch_add(T more, std::memory_order order) {
    const bool is_weak = weakened == Weakened::release_of_wake && order == std::memory_order_release;
    return value(here().modify(place_, acquires(order), releases(order) && !is_weak,
                               [more](std::uint64_t& at) { return at += more, true; }));
  }
  bool compare_exchange_weak(T& expected, T next, std::memory_order order, std::memory_order) {
    return exchange_if(expected, next, acquires(order) && weakened != Weakened::acquire_of_push,
                       releases(order) && weakened != Weakened::release_of_push, false) ||
           (here().try_again(bits(expected)), false);
  }
  bool compare_exchange_weak(T& expected, T next, std::memory_order order) {
    return compare_exchange_weak(expected, next, order, order);
  }
  bool compare_exchange_strong(T& expected, T next, std::memory_order order,
                               std::memory_order = std::memory_order_relaxed) {
    return exchange_if(expected, next, acquires(order),
                       releases(order) && weakened != Weakened::release_of_mark,
                       weakened == Weakened::check_of_mark && releases(order));
  }

 private:
  static Interleavings& here() { return *Interleavings::current(); }
  static std::uint64_t bits(T value) {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<std::uintptr_t>(value);
    else
      return static_cast<std::uint64_t>(value);
  }
  static T value(std::uint64_t bits) {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<T>(bits);
    else
      return static_cast<T>(bits);
  }
  static bool acquires(std::memory_order order) {
    return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
  }
  static bool releases(std::memory_order order) {
    return order == std::memory_order_release || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
  }
  bool exchange_if(T& expected, T next, bool acquiring, bool releasing, bool always) {
    bool has_changed = false;
    const T found = value(here().modify(place_, acquiring, releasing, [&](std::uint64_t& at) {
      has_changed = always || at == bits(expected);
      if (has_changed) at = bits(next);
      return has_changed;
    }));
    if (!has_changed) expected = found;
    return has_changed;
  }

  std::size_t place_;
};

/// A plain variable, whose unordered uses are failures.
template <class T>
class Watched {
 public:
  Watched() {
    if (Interleavings::current() != nullptr) variable_ = Interleavings::current()->add_variable();
  }
  Watched& operator=(T value) {
    Interleavings::current()->note_write(variable_);
    value_ = value;
    return *this;
  }
  operator T() const {
    Interleavings::current()->note_read(variable_);
    return value_;
  }

 private:
  std::size_t variable_ = 0;
  T value_{};
};

}  // namespace corering::test
