/// tracepoints.cpp — reads the `format` files of tracefs. No offset and no number is known in advance.
#include "tracepoints.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <corering/base/fd.hpp>

namespace iotrace {
namespace {

using corering::Fd;
using corering::trace::Kind;

constexpr const char* tracefs = "/sys/kernel/tracing";

struct Name {
  Kind kind;
  std::string_view name;
};
/// The second is the older name of the first. A request whose SQE is refused is never submitted: the third
/// stands for it. Every kernel has the last one.
constexpr std::array names = {
    Name{Kind::kernel_began, "io_uring_submit_req"},      Name{Kind::kernel_began, "io_uring_submit_sqe"},
    Name{Kind::kernel_began, "io_uring_req_failed"},      Name{Kind::kernel_waits, "io_uring_poll_arm"},
    Name{Kind::kernel_lent, "io_uring_queue_async_work"}, Name{Kind::kernel_ready, "io_uring_task_add"},
    Name{Kind::kernel_overflow, "io_uring_cqe_overflow"}, Name{Kind::kernel_ended, "io_uring_complete"}};

/// Adds what can be read from the descriptor to `content`. Returns 0, or the errno.
int read_to_end(const Fd& file, std::string& content) {
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0) return errno;
    if (got == 0) return 0;
    content.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

int read_file(const std::string& path, std::string& content) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.is_open() ? read_to_end(file, content) : errno;
}

/// What tracefs says, and the errno for the last file, which every kernel has.
struct Formats {
  std::string text;
  int error = 0;
};

Formats read_formats() {
  Formats found;
  read_file(std::string(tracefs) + "/events/sched/sched_process_fork/format", found.text);
  for (const Name& one : names) {
    found.error =
        read_file(std::string(tracefs) + "/events/io_uring/" + std::string(one.name) + "/format", found.text);
  }
  return found;
}

[[noreturn]] void write_formats_of_own_mount(const Fd& writable) {
  const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount("tracefs", tracefs, "tracefs", 0, nullptr) == 0;
  const std::string text = mounted ? read_formats().text : "";
  const bool written = ::write(writable.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::_exit(written ? 0 : 1);
}

std::string read_formats_in_private_mount() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "";
  const Fd readable(ends[0]);
  Fd writable(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) write_formats_of_own_mount(writable);
  writable.reset();
  if (child < 0) return "";
  std::string text;
  read_to_end(readable, text);
  ::waitpid(child, nullptr, 0);
  return text;
}

/// Returns the number after `label`.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label) {
  const std::size_t at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  return std::strtoull(std::string(text.substr(at + label.size(), 20)).c_str(), nullptr, 10);
}

/// Finds a line like "\tfield:u64 user_data;\toffset:24;\tsize:8;\tsigned:0;".
TracepointField field_of(std::string_view format, std::string_view name) {
  const std::size_t at = format.find(" " + std::string(name) + ";");
  if (at == std::string_view::npos) return {};
  const std::string_view line = format.substr(at, format.find('\n', at) - at);
  const auto offset = number_after(line, "offset:");
  const auto size = number_after(line, "size:");
  if (!offset || !size || *offset > 4096 || *size > sizeof(std::uint64_t)) return {};
  return {static_cast<std::uint16_t>(*offset), static_cast<std::uint16_t>(*size)};
}

std::optional<Tracepoint> parse_one(Kind kind, std::string_view format) {
  const auto id = number_after(format, "ID: ");
  Tracepoint found{.kind = kind,
                   .id = id.value_or(0),
                   .thread = field_of(format, "common_pid"),
                   .ring = field_of(format, "ctx"),
                   .request = field_of(format, "req"),
                   .user_data = field_of(format, "user_data"),
                   .opcode = field_of(format, "opcode"),
                   .flags = field_of(format, "flags"),
                   .result = field_of(format, "res"),
                   .cqe_flags = field_of(format, "cflags")};
  if (!id || !found.user_data.is_there()) return std::nullopt;
  return found;
}

/// Returns the part of `formats` that describes this tracepoint.
std::string_view format_of(std::string_view formats, std::string_view name) {
  const std::size_t begin = formats.find("name: " + std::string(name) + "\n");
  if (begin == std::string_view::npos) return "";
  const std::size_t end = formats.find("\nname: ", begin);
  return formats.substr(begin, end == std::string_view::npos ? end : end - begin);
}

}  // namespace

std::vector<Tracepoint> parse_tracepoints(std::string_view formats) {
  std::vector<Tracepoint> all;
  for (const Name& one : names) {
    if (const auto found = parse_one(one.kind, format_of(formats, one.name))) all.push_back(*found);
  }
  return all;
}

ForkTracepoint parse_fork(std::string_view formats) {
  const std::string_view format = format_of(formats, "sched_process_fork");
  return {.id = number_after(format, "ID: ").value_or(0), .child = field_of(format, "child_pid")};
}

KnownTracepoints learn_tracepoints() {
  Formats found = read_formats();
  if (found.error != 0) found.text = read_formats_in_private_mount();
  return {.all = parse_tracepoints(found.text), .fork = parse_fork(found.text), .error = found.error};
}

}  // namespace iotrace
