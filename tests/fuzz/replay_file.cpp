/// replay_file.cpp — any bytes are a replay file: the reader says what is wrong with them, or reads them.
///
/// A check follows each event, which no fuzzer would guess. So the first byte may ask for right ones.
#include "replay/replay_file.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "fuzz/bytes.hpp"

namespace {

using namespace corering::replay;
using corering::fuzz::must;

/// Makes every check right, as far as there are events.
void correct(std::vector<std::byte>& file) {
  FileHead head;
  if (file.size() < sizeof head) return;
  std::memcpy(&head, file.data(), sizeof head);
  head.magic = FileHead::usual_magic;
  head.version = FileHead().version;
  head.check = head.right_check();
  std::memcpy(file.data(), &head, sizeof head);
  Hash hash;
  for (std::size_t at = sizeof head; file.size() - at >= sizeof(EventHead);) {
    EventHead event;
    std::memcpy(&event, file.data() + at, sizeof event);
    if (event.size > file.size() - at - sizeof event) return;
    hash.add(event);
    hash.add(file.data() + at + sizeof event, event.size);
    event.check = hash.check();
    std::memcpy(file.data() + at, &event, sizeof event);
    at += sizeof event + event.size;
  }
}

void read_to_the_end(ReplayFileReader& reader, std::size_t size) {
  std::size_t used = 0;
  for (Recorded next = reader.peek();; next = reader.peek()) {
    must(!text_of(next.event).empty());
    if (next.event.kind == Kind::nothing || next.event.kind == Kind::end) return;
    must(next.event.kind != Kind::refused);
    std::vector<std::byte> written(next.bytes, next.bytes + next.size);
    used += written.size();
    must(used <= size);
    reader.go_on();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> file(bytes.begin() + (size > 0 ? 1 : 0), bytes.end());
  if (size > 0 && data[0] % 2 == 1) correct(file);
  auto reader = ReplayFileReader::of(std::move(file), "run.replay");
  must(reader || !reader.error().empty());
  must(reader || reader.error().find('\n') == std::string::npos);
  if (!reader) return 0;
  must(reader->head().program_text().size() <= 16);
  (void)reader->head().capabilities();
  read_to_the_end(*reader, size);
  return 0;
}
