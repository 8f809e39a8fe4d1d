/// tape.cpp — recording an event, and playing one.
#include "replay/tape.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <corering/base/assert.hpp>

namespace corering::replay {
namespace {

/// One line, in one piece. It may be called in a signal handler.
[[noreturn]] void say_and_abort(const char* name, const char* how, const char* what) noexcept {
  std::array<char, 1024> line;
  std::size_t size = 0;
  for (const char* const part : {"corering: the replay of ", name, " ", how, what}) {
    const std::size_t length = std::min(std::strlen(part), line.size() - 1 - size);
    std::memcpy(line.data() + size, part, length);
    size += length;
  }
  line[size++] = '\n';
  (void)!::write(STDERR_FILENO, line.data(), size);
  std::abort();
}

}  // namespace

// ---- descriptors ----

void Tape::name_descriptor(Event& event, int fd, unsigned shift) noexcept {
  names_foreign_ = plays_ && fd >= 0 && fd < os::first_simulated;
  shift_ = shift;
  event.words[0] |= std::uint64_t{static_cast<std::uint32_t>(recorded_number(fd))} << shift;
}

int Tape::opened(std::int64_t result) noexcept {
  const auto fd = static_cast<int>(result);
  CORERING_DEBUG_ASSERT(fd < os::first_simulated, "a recording has the numbers of real descriptors");
  if (fd < 0) return fd;
  open_.insert(fd);
  return plays_ ? fd + os::first_simulated : fd;
}

void Tape::close_real(int fd) const noexcept {
  if (plays_ && fd >= 0 && fd < os::first_simulated) (void)::close(fd);
}

// ---- recording ----

std::int64_t Tape::record(const Event& event) noexcept {
  if (!has_stopped_ && is_mine()) append_or_stop(event);
  return event.result;
}

void Tape::append_or_stop(const Event& event) noexcept {
  if (const char* const why = refused(); why != nullptr) return stop_for(why);
  Event complete = event;
  if (event.result < 0) complete.written = {};
  append(complete);
}

void Tape::append(const Event& event) noexcept {
  if (writer_.append(event) == 0) return;
  refuse("the file could not grow");
  stop_for(refused());
}

void Tape::stop_for(const char* why) noexcept {
  CORERING_ASSERT(!has_stopped_, "a recording stops once");
  has_stopped_ = true;
  Event event{.kind = Kind::refused};
  event.written[0] = {const_cast<char*>(why), std::strlen(why)};
  (void)writer_.append(event);
  writer_.finish();
  std::fprintf(stderr, "corering: this run cannot be replayed: %s; nothing more is recorded (%s)\n", why,
               name_.c_str());
}

void Tape::refuse(const char* why) noexcept {
  if (plays_) say_and_abort(name_.c_str(), "ends: ", why);
  const char* none = nullptr;
  refused_.compare_exchange_strong(none, why);
}

// What another thread ends may still be written to: the file stays without an end, as after a crash.
void Tape::finish() noexcept {
  if (!is_here() || plays_ || has_stopped_ || !is_mine()) return;
  if (const char* const why = refused(); why != nullptr) return stop_for(why);
  append({.kind = Kind::end});
  writer_.finish();
  has_stopped_ = true;
}

// ---- playing ----

Recorded Tape::next(Kind kind) noexcept {
  CORERING_ASSERT(plays_ && is_here(), "only the thread that is replayed takes what was recorded");
  const Recorded recorded = reader_.peek();
  if (recorded.event.kind != kind) fail_differently({.kind = kind}, recorded.event);
  return recorded;
}

std::int64_t Tape::play(Event& event) noexcept {
  const Recorded recorded = reader_.peek();
  const std::uint64_t mask = std::uint64_t{0xffff'ffff} << shift_;
  const auto fd = static_cast<int>(recorded.event.words[0] >> shift_);
  if (std::exchange(names_foreign_, false) && !open_.contains(fd))
    event.words[0] = (event.words[0] & ~mask) | (recorded.event.words[0] & mask);
  if (recorded.event.kind != event.kind || recorded.event.words != event.words)
    fail_differently(event, recorded.event);
  event.result = recorded.event.result;
  write_to(event, recorded);
  reader_.go_on();
  return event.result;
}

void Tape::write_to(const Event& event, const Recorded& recorded) noexcept {
  const std::size_t wanted = event.result < 0 ? 0 : event.written[0].size + event.written[1].size;
  if (wanted != recorded.size)
    fail("differs at event " + std::to_string(reader_.events() + 1) + ": there the kernel wrote " +
         std::to_string(recorded.size) + " bytes, and here is room for " + std::to_string(wanted));
  if (wanted == 0) return;
  const std::byte* at = recorded.bytes;
  for (const Written& part : event.written) {
    if (part.size > 0) std::memcpy(part.at, at, part.size);
    at += part.size;
  }
}

void Tape::clear(const Written& part) noexcept {
  if (part.size > 0) std::memset(part.at, 0, part.size);
  if (part.size == 0 || std::exchange(has_told_of_zeros_, true)) return;
  std::fprintf(stderr,
               "corering: %s has no bytes, so what the program reads is zeros "
               "(CORERING_TRACE=replay,bytes,file=... records them)\n",
               name_.c_str());
}

std::string Tape::origin() const {
  const std::string there(reader_.head().program_text()), here(program_name().data());
  return there == here ? "" : " (it was recorded from \"" + there + "\", and this is \"" + here + "\")";
}

void Tape::fail_differently(const Event& here, const Event& there) const noexcept {
  const std::string where = "event " + std::to_string(reader_.events() + 1);
  if (there.kind == Kind::nothing)
    fail("ends here, at " + where + ": the recorded run was killed, or it crashed");
  if (there.kind == Kind::end)
    fail("differs at " + where + ": the program " + text_of(here) + " where the recorded one had ended");
  std::string what = "differs at " + where + ": the program " + text_of(here) + " where the recorded one ";
  what += text_of(here) == text_of(there) ? "did that in another way" : text_of(there);
  fail(what + origin());
}

void Tape::fail(const std::string& what) const noexcept { say_and_abort(name_.c_str(), "", what.c_str()); }

}  // namespace corering::replay
