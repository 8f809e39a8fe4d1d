/// run_event.cpp — events in words.
#include "replay/run_event.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <corering/uring/uapi.hpp>

namespace corering::replay {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Kind::count_)> texts = {
    "does nothing",
    "reads the clock",
    "opens a ring",
    "closes a ring",
    "submits an SQE",
    "enters the kernel",
    "gets a completion",
    "reads from the page cache",
    "registers a resource",
    "opens an eventfd",
    "closes a descriptor",
    "naps",
    "makes a socket",
    "makes a pair of sockets",
    "makes a pipe",
    "binds a socket",
    "listens on a socket",
    "connects a socket",
    "sets an option of a socket",
    "asks for an option of a socket",
    "asks for the name of a socket",
    "asks for the peer of a socket",
    "is refused",
    "ends",
};

std::string descriptor(std::uint64_t word) {
  return "descriptor " + std::to_string(static_cast<std::int32_t>(word));
}

std::string text_of_sqe(const Event& event) {
  const std::uint64_t head = event.words[SqeWords::head], size = event.words[SqeWords::size];
  const auto flags = static_cast<unsigned>(head >> 8 & 0xff);
  std::string text = "submits " + std::string(name_of(static_cast<Opcode>(head & 0xff)));
  text += ", " + descriptor(head >> 32) + ", length " + std::to_string(static_cast<std::uint32_t>(size));
  text += ", offset " + std::to_string(static_cast<std::int64_t>(event.words[SqeWords::offset]));
  if (flags != 0) text += ", flags " + std::to_string(flags);
  if (size >> 32 != 0) text += ", its own flags " + std::to_string(size >> 32);
  return text;
}

/// The words that not every event has.
std::string rest_of(const Event& event) {
  const std::string first = std::to_string(event.words[1]), second = std::to_string(event.words[2]);
  if (event.kind == Kind::read_now) return ", length " + first + ", offset " + second;
  const bool is_option = event.kind == Kind::get_option || event.kind == Kind::set_option;
  return is_option ? ", level " + first + ", number " + second : "";
}

std::string text_of_enter(const Event& event) {
  return "enters the kernel with " + std::to_string(event.words[0]) + " SQEs and waits for " +
         std::to_string(event.words[1]) + " completions";
}

}  // namespace

std::string text_of(const Event& event) {
  if (event.kind == Kind::sqe) return text_of_sqe(event);
  if (event.kind == Kind::enter) return text_of_enter(event);
  std::string text(texts[std::min(static_cast<std::size_t>(event.kind), texts.size() - 1)]);
  const bool has_descriptor = event.kind == Kind::close || event.kind == Kind::read_now ||
                              (event.kind >= Kind::bind && event.kind <= Kind::peer_name);
  if (has_descriptor) text += " (" + descriptor(event.words[0]) + ")";
  return text + rest_of(event);
}

void Hash::add(const void* bytes, std::size_t size) noexcept {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (; size > 0;) {
    std::uint64_t word = 0;
    const std::size_t part = std::min(size, sizeof word);
    std::memcpy(&word, at, part);
    value_ = (value_ ^ word ^ part << 60) * 0x9e3779b97f4a7c15;
    value_ ^= value_ >> 29;
    at += part;
    size -= part;
  }
}

void Hash::add(const EventHead& head) noexcept {
  EventHead unchecked = head;
  unchecked.check = 0;
  add(&unchecked, sizeof unchecked);
}

}  // namespace corering::replay
