/// replay_file.cpp — writes replay files, reads them, and finds what is wrong with one.
#include "replay/replay_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <corering/base/assert.hpp>

namespace corering::replay {
namespace {

constexpr std::size_t step = std::size_t{1} << 20;  // the file grows by this

/// Makes the system call again each time that a signal has interrupted it.
template <class Call>
auto uninterrupted(Call call) noexcept {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

/// Makes the file longer, and returns 0 or -1 and sets errno. Without it a full disk would be a SIGBUS.
int grow(int file, std::size_t from, std::size_t to) noexcept {
  return uninterrupted([=] {
    errno = ::posix_fallocate(file, static_cast<off_t>(from), static_cast<off_t>(to - from));
    return errno == 0 ? 0 : -1;
  });
}

Fd open_file(const std::filesystem::path& path, int flags) noexcept {
  return Fd(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); }));
}

template <class Bits, class What>
void keep(Bits& bits, const Capabilities& capabilities, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bits[i] = capabilities.has(static_cast<What>(i)) ? 1 : 0;
}

std::uint8_t words_of(const Event& event) noexcept {
  std::size_t count = most_words;
  while (count > 0 && event.words[count - 1] == 0) --count;
  return static_cast<std::uint8_t>(count);
}

EventHead head_of(const Event& event) noexcept {
  EventHead head{.size = 0, .kind = event.kind, .words = words_of(event), .check = 0};
  std::size_t size = (std::size_t{head.words} + 1) * sizeof(std::uint64_t);
  for (const Written& part : event.written) size += part.size;
  head.size = static_cast<std::uint32_t>(size);
  return head;
}

}  // namespace

std::array<char, 16> program_name() noexcept {
  std::array<char, 16> name{};
  if (FILE* const file = std::fopen("/proc/self/comm", "re"); file != nullptr) {
    (void)!std::fgets(name.data(), static_cast<int>(name.size()), file);
    std::fclose(file);
  }
  std::ranges::replace(name, '\n', '\0');
  return name;
}

FileHead FileHead::of(const Capabilities& capabilities, bool has_bytes) noexcept {
  static_assert(static_cast<std::size_t>(Feature::count_) <= std::tuple_size_v<decltype(features)>);
  FileHead head;
  head.has_bytes = has_bytes ? 1 : 0;
  head.program = program_name();
  keep<decltype(opcodes), Opcode>(head.opcodes, capabilities, head.opcodes.size());
  keep<decltype(features), Feature>(head.features, capabilities, static_cast<std::size_t>(Feature::count_));
  head.check = head.right_check();
  return head;
}

Capabilities FileHead::capabilities() const noexcept {
  Capabilities known;
  for (std::size_t i = 0; i < opcodes.size(); ++i) known.set(static_cast<Opcode>(i), opcodes[i] != 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(Feature::count_); ++i)
    known.set(static_cast<Feature>(i), features[i] != 0);
  return known;
}

std::string_view FileHead::program_text() const noexcept {
  return {program.begin(), std::ranges::find(program, '\0')};
}

std::uint64_t FileHead::right_check() const noexcept {
  Hash hash;
  hash.add(this, offsetof(FileHead, check));
  return hash.value();
}

// ---- writing ----

ReplayFileWriter::~ReplayFileWriter() {
  if (memory_ != nullptr) ::munmap(memory_, mapped_);
}

int ReplayFileWriter::open(const std::filesystem::path& path, const FileHead& head) noexcept {
  file_ = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  if (!file_.is_open()) return -errno;
  owner_ = ::getpid();
  if (const int failed = make_room(sizeof head); failed != 0) return failed;
  put(&head, sizeof head);
  return 0;
}

int ReplayFileWriter::make_room(std::size_t size) noexcept {
  const std::size_t wanted = used_ + size + sizeof(EventHead);  // zeros follow the last event
  if (wanted <= mapped_) return 0;
  const std::size_t length = (wanted + step - 1) / step * step;
  if (grow(file_.get(), mapped_, length) < 0) return -errno;
  void* const memory = memory_ == nullptr
                           ? ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0)
                           : ::mremap(memory_, mapped_, length, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED) return -errno;
  memory_ = static_cast<std::byte*>(memory);
  mapped_ = length;
  return 0;
}

void ReplayFileWriter::put(const void* bytes, std::size_t size) noexcept {
  CORERING_ASSERT(size <= mapped_ - used_, "what is written has room in the file");
  if (size > 0) std::memcpy(memory_ + used_, bytes, size);
  used_ += size;
}

// The head comes last: if the process dies meanwhile, there is no event.
int ReplayFileWriter::append(const Event& event) noexcept {
  if (!is_mine()) return 0;
  EventHead head = head_of(event);
  if (const int failed = make_room(sizeof head + head.size); failed != 0) return failed;
  std::byte* const begin = memory_ + used_;
  used_ += sizeof head;
  put(event.words.data(), head.words * sizeof(std::uint64_t));
  put(&event.result, sizeof event.result);
  for (const Written& part : event.written) put(part.at, part.size);
  hash_.add(head);
  hash_.add(begin + sizeof head, head.size);
  head.check = hash_.check();
  std::memcpy(begin, &head, sizeof head);
  ++events_;
  return 0;
}

void ReplayFileWriter::finish() noexcept {
  if (file_.is_open() && is_mine())
    (void)uninterrupted([this] { return ::ftruncate(file_.get(), static_cast<off_t>(used_)); });
}

// ---- reading ----

namespace {

/// Returns what is wrong, or an empty text.
std::string read_all(const std::filesystem::path& path, std::vector<std::byte>& content) {
  const Fd file = open_file(path, O_RDONLY);
  for (std::size_t used = 0; file.is_open();) {
    content.resize(used + step);
    const ssize_t got = uninterrupted([&] { return ::read(file.get(), content.data() + used, step); });
    if (got < 0) break;
    content.resize(used += static_cast<std::size_t>(got));
    if (got == 0) return {};
  }
  return "cannot be read: " + std::system_category().message(errno);
}

/// What a damaged file says is shown in one line.
std::string in_one_line(std::string text) {
  std::ranges::replace_if(text, [](unsigned char sign) { return sign < ' ' || sign > '~'; }, '?');
  return text;
}

}  // namespace

std::expected<ReplayFileReader, std::string> ReplayFileReader::open(const std::filesystem::path& path) {
  std::vector<std::byte> content;
  if (const std::string wrong = read_all(path, content); !wrong.empty())
    return std::unexpected(path.string() + " " + wrong);
  return of(std::move(content), path.string());
}

std::expected<ReplayFileReader, std::string> ReplayFileReader::of(std::vector<std::byte> content,
                                                                  const std::string& name) {
  ReplayFileReader reader;
  reader.content_ = std::move(content);
  std::string wrong = reader.check_head();
  if (wrong.empty()) wrong = reader.check_events();
  if (!wrong.empty()) return std::unexpected(name + " " + wrong);
  return reader;
}

std::string ReplayFileReader::check_head() {
  if (!content_.empty()) std::memcpy(&head_, content_.data(), std::min(content_.size(), sizeof head_));
  const bool is_short = content_.size() < sizeof head_;
  if (content_.size() < sizeof head_.magic || head_.magic != FileHead::usual_magic)
    return "is no replay file (CORERING_TRACE=replay,file=... writes one)";
  if (is_short) return "has been cut: it ends in its first lines";
  if (head_.version != FileHead().version)
    return "was written by another version of corering: record the run again";
  if (head_.check != head_.right_check()) return "is damaged: its beginning is not what was written";
  at_ = sizeof head_;
  return {};
}

// Goes through all of it once, and back to the beginning.
std::string ReplayFileReader::check_events() {
  const std::size_t begin = at_;
  for (;;) {
    if (std::string wrong = check_event(); !wrong.empty()) return wrong;
    const Recorded next = peek();
    if (next.event.kind == Kind::refused)
      return "cannot be replayed: " +
             in_one_line(std::string(reinterpret_cast<const char*>(next.bytes), next.size));
    if (next.event.kind == Kind::nothing || next.event.kind == Kind::end) break;
    go_on();
  }
  at_ = begin;
  events_ = 0;
  hash_ = {};
  return {};
}

EventHead ReplayFileReader::head_of_next() const noexcept {
  EventHead head;
  std::memcpy(&head, content_.data() + at_, sizeof head);
  return head;
}

std::string ReplayFileReader::check_event() const {
  const std::string which = std::to_string(events_ + 1);
  const std::size_t left = content_.size() - at_;
  if (left < sizeof(EventHead)) return "has been cut: event " + which + " is not there, and no end before it";
  const EventHead head = head_of_next();
  if (head.size == 0 && head.kind == Kind::nothing) return {};
  const std::size_t least = (std::size_t{head.words} + 1) * sizeof(std::uint64_t);
  if (head.kind >= Kind::count_ || head.words > most_words || head.size < least)
    return "is damaged: event " + which + " is none";
  if (head.size > left - sizeof head) return "has been cut: it ends in event " + which;
  Hash hash = hash_;
  hash.add(head);
  hash.add(content_.data() + at_ + sizeof head, head.size);
  return hash.check() == head.check ? std::string()
                                    : "is damaged: event " + which + " is not what was written";
}

Recorded ReplayFileReader::peek() const noexcept {
  Recorded next;
  const EventHead head = head_of_next();
  next.event.kind = head.kind;
  if (head.kind == Kind::nothing) return next;
  const std::byte* at = content_.data() + at_ + sizeof head;
  std::memcpy(next.event.words.data(), at, head.words * sizeof(std::uint64_t));
  at += head.words * sizeof(std::uint64_t);
  std::memcpy(&next.event.result, at, sizeof next.event.result);
  next.bytes = at + sizeof next.event.result;
  next.size = head.size - (std::size_t{head.words} + 1) * sizeof(std::uint64_t);
  return next;
}

void ReplayFileReader::go_on() noexcept {
  const EventHead head = head_of_next();
  CORERING_ASSERT(head.kind != Kind::nothing && head.kind != Kind::end, "nothing follows the end");
  hash_.add(head);
  hash_.add(content_.data() + at_ + sizeof head, head.size);
  at_ += sizeof head + head.size;
  ++events_;
}

}  // namespace corering::replay
