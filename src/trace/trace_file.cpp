/// trace_file.cpp — makes the file and its head, and adds rings and places.
#include "trace/trace_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <corering/base/assert.hpp>

#include "trace/ticks.hpp"

namespace corering::trace {

using namespace layout;

namespace {

void copy_text(std::span<char> into, std::string_view text) noexcept {
  const std::size_t size = std::min(text.size(), into.size() - 1);
  std::copy_n(text.begin(), size, into.begin());
  into[size] = '\0';
}

/// Reads a line of a small file of /proc. Where there is none, the text stays empty.
void copy_line(std::span<char> into, const char* path) noexcept {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t got = file.is_open() ? ::read(file.get(), into.data(), into.size() - 1) : 0;
  into[static_cast<std::size_t>(std::max<ssize_t>(got, 0))] = '\0';
  if (char* const end = std::strchr(into.data(), '\n'); end != nullptr) *end = '\0';
}

/// What is at a path where a recording is to be.
enum class There : std::uint8_t { nothing, trace, trace_in_use, something_else };

There what_is_at(const char* path) noexcept {
  struct stat status{};
  if (::lstat(path, &status) != 0) return There::nothing;
  if (!S_ISREG(status.st_mode)) return There::something_else;
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  FileHead head;
  const ssize_t got = file.is_open() ? ::pread(file.get(), &head, sizeof head, 0) : -1;
  if (got == 0) return There::trace;  // an empty file, as mktemp(1) makes it
  if (got != sizeof head || head.magic != magic) return There::something_else;
  const auto pid = static_cast<pid_t>(head.pid);
  const bool runs = pid != ::getpid() && pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
  return runs ? There::trace_in_use : There::trace;
}

/// Replaces an older recording, and nothing else. Two processes never record into one file: the second one
/// adds its pid to the name.
Fd open_new(std::filesystem::path& path) {
  There there = what_is_at(path.c_str());
  if (there == There::trace_in_use) {
    path += '.';
    path += std::to_string(::getpid());
    there = what_is_at(path.c_str());
  }
  if (there == There::something_else) return errno = EEXIST, Fd();
  if (there == There::trace) ::unlink(path.c_str());
  return Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
}

/// Makes the file that long. A file that is longer than RLIMIT_FSIZE would end the process with SIGXFSZ, and
/// pages of a file that has no room would do so with SIGBUS when they are touched; so the room is taken
/// before. Memory of memfd_create(2) has no such limit.
bool make_room(int fd, bool is_on_disk, std::uint64_t from, std::uint64_t to) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < to) return errno = EFBIG, false;
  if (::ftruncate(fd, static_cast<off_t>(to)) != 0) return false;
  if (!is_on_disk) return true;
  const int failed = ::posix_fallocate(fd, static_cast<off_t>(from), static_cast<off_t>(to - from));
  return failed == 0 || (errno = failed, false);
}

template <class T>
void publish(T& word, T value) noexcept {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

}  // namespace

TraceFile::TraceFile(Fd fd, std::filesystem::path path) noexcept
    : fd_(std::move(fd)), path_(std::move(path)) {}

std::shared_ptr<TraceFile> TraceFile::create(const std::filesystem::path& path, int& error) {
  std::filesystem::path used = path;
  Fd fd = path.empty() ? Fd(::memfd_create("corering-trace", MFD_CLOEXEC)) : open_new(used);
  auto file = fd.is_open() ? std::make_shared<TraceFile>(std::move(fd), std::move(used)) : nullptr;
  if (file == nullptr || !file->open_head()) {
    error = -errno;
    return nullptr;
  }
  file->fill_head();
  return file;
}

bool TraceFile::open_head() noexcept {
  if (!make_room(fd_.get(), !path_.empty(), 0, first_ring_offset)) return false;
  map_ = SharedMap::of(fd_.get(), 0, first_ring_offset, false);
  return map_.is_open();
}

void TraceFile::fill_head() noexcept {
  FileHead& head = this->head();
  head = {.version = version,
          .event_bytes = sizeof(Event),
          .control_offset = layout::control_offset,
          .kinds_offset = layout::kinds_offset,
          .kind_count = static_cast<std::uint32_t>(kind_names.size()),
          .rings_offset = layout::rings_offset,
          .places_offset = layout::places_offset,
          .place_count = most_places,
          .strings_offset = static_cast<std::uint32_t>(layout::strings_offset),
          .string_bytes = layout::string_bytes,
          .pid = static_cast<std::uint32_t>(::getpid())};
  copy_line(head.boot_id, "/proc/sys/kernel/random/boot_id");
  copy_line(head.program, "/proc/self/comm");
  for (std::size_t i = 0; i < kind_names.size(); ++i) {
    char* const name = &map_.as<char>(layout::kinds_offset + i * kind_name_bytes);
    copy_text({name, kind_name_bytes}, kind_names[i]);
  }
  head.started = head.latest = moment_now();
  std::atomic_thread_fence(std::memory_order_release);
  head.magic = magic;
}

SharedMap TraceFile::add_ring(std::uint64_t capacity, bool populate) noexcept {
  FileHead& head = this->head();
  const std::size_t bytes = bytes_of_ring(capacity);
  if (head.ring_count == most_rings) return {};
  if (!make_room(fd_.get(), !path_.empty(), end_, end_ + bytes)) return {};
  SharedMap map = SharedMap::of(fd_.get(), end_, bytes, populate);
  if (!map.is_open()) return map;
  map_.as<RingEntry>(layout::rings_offset + head.ring_count * sizeof(RingEntry)) = {end_, capacity};
  publish(head.ring_count, head.ring_count + 1);
  end_ += bytes;
  return map;
}

void TraceFile::forget_rings() noexcept {
  publish(head().ring_count, 0U);
  std::atomic_ref(head().unrecorded).store(0, std::memory_order_relaxed);
  note_moment();
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first_ring_offset,
              static_cast<off_t>(end_ - first_ring_offset));
}

void TraceFile::note_moment() noexcept {
  FileHead& head = this->head();
  std::atomic_ref number(head.latest_number);
  std::uint64_t even = number.load(std::memory_order_relaxed) & ~std::uint64_t{1};
  if (!number.compare_exchange_strong(even, even + 1, std::memory_order_acquire)) return;  // somebody does it
  std::atomic_thread_fence(std::memory_order_release);
  head.latest = moment_now();
  number.store(even + 2, std::memory_order_release);
}

// ---- places ----

namespace {

constexpr std::uint32_t most_probes = 16;

std::uint32_t first_probe(std::uint64_t key) noexcept { return static_cast<std::uint32_t>(key >> 52); }
std::uint64_t key_in(layout::PlaceEntry& entry) noexcept {
  return std::atomic_ref(entry.key).load(std::memory_order_relaxed);
}

}  // namespace

bool TraceFile::has_place(std::uint64_t key) const noexcept {
  for (std::uint32_t probe = 0; probe < most_probes; ++probe) {
    const std::uint64_t found = key_in(places()[(first_probe(key) + probe) % most_places]);
    if (found == key || found == 0) return found == key;
  }
  return true;  // there is no room for it
}

std::uint32_t TraceFile::add_string(std::string_view text) noexcept {
  text = text.substr(0, longest_text - 1);
  if (text.empty() || strings_ + text.size() + 1 > layout::string_bytes) return 0;
  const std::uint32_t at = strings_;
  copy_text({&map_.as<char>(layout::strings_offset + at), text.size() + 1}, text);
  strings_ += static_cast<std::uint32_t>(text.size()) + 1;
  return at;
}

void TraceFile::add_place(std::uint64_t key, bool is_name, std::string_view file, std::string_view function,
                          std::uint32_t line) noexcept {
  for (std::uint32_t probe = 0; probe < most_probes; ++probe) {
    PlaceEntry& entry = places()[(first_probe(key) + probe) % most_places];
    if (key_in(entry) == key) return;
    if (key_in(entry) != 0) continue;
    entry.line = line;
    entry.is_name = is_name ? 1 : 0;
    entry.file = add_string(file);
    entry.function = add_string(function);
    publish(entry.key, key);
    return;
  }
}

}  // namespace corering::trace
