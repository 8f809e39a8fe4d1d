/// requests.hpp — the SQEs of the scripts, each with its user data first.
#pragma once

#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/uio.h>

#include <corering/base/time.hpp>
#include <corering/uring/uapi.hpp>

namespace corering::conformance {

// Flags that the library itself does not use.
inline constexpr std::uint32_t msg_ring_cqe_skip = 1U << 0;

/// An SQE, and the time that it points to, if it does.
struct Entry {
  Sqe sqe;
  std::optional<uapi::Timespec> time{};
  bool time_is_second_address = false;

  [[nodiscard]] Entry with(std::uint32_t sqe_flags) const {
    Entry entry = *this;
    entry.sqe.flags = static_cast<std::uint8_t>(entry.sqe.flags | sqe_flags);
    return entry;
  }
  [[nodiscard]] Entry linked() const { return with(uapi::sqe_io_link); }
  [[nodiscard]] Entry hard_linked() const { return with(uapi::sqe_io_hardlink); }
  [[nodiscard]] Entry async() const { return with(uapi::sqe_async); }
  [[nodiscard]] Entry skipping() const { return with(uapi::sqe_cqe_skip_success); }
  /// `fd` is a slot of the table.
  [[nodiscard]] Entry in_slot() const { return with(uapi::sqe_fixed_file); }
  /// The kernel picks the buffer from this group.
  [[nodiscard]] Entry from_group(std::uint16_t group) const {
    Entry entry = with(uapi::sqe_buffer_select);
    entry.sqe.buf_index = group;
    return entry;
  }
  [[nodiscard]] Entry in_buffer(std::uint16_t index) const {
    Entry entry = *this;
    entry.sqe.buf_index = index;
    return entry;
  }
  /// The descriptor that it makes goes into this slot of the table, or into one that the kernel picks.
  [[nodiscard]] Entry into_slot(std::uint32_t slot) const {
    Entry entry = *this;
    entry.sqe.file_index = slot + 1;
    return entry;
  }
  [[nodiscard]] Entry into_free_slot() const {
    Entry entry = *this;
    entry.sqe.file_index = uapi::file_index_alloc;
    return entry;
  }
  [[nodiscard]] Entry ioprio(std::uint32_t flags) const {
    Entry entry = *this;
    entry.sqe.ioprio = static_cast<std::uint16_t>(entry.sqe.ioprio | flags);
    return entry;
  }
  /// rw_flags, msg_flags, timeout_flags, ...
  [[nodiscard]] Entry flags(std::uint32_t flags) const {
    Entry entry = *this;
    entry.sqe.op_flags |= flags;
    return entry;
  }
};

template <class T>
[[nodiscard]] std::uint64_t address(const T* what) noexcept {
  return reinterpret_cast<std::uintptr_t>(what);
}

[[nodiscard]] inline Entry request(std::uint64_t user_data, Opcode opcode, int fd = -1) {
  return {.sqe = {.opcode = static_cast<std::uint8_t>(opcode), .fd = fd, .user_data = user_data}};
}

/// A request about `size` bytes at `bytes`.
[[nodiscard]] inline Entry about(std::uint64_t user_data, Opcode opcode, int fd, const void* bytes,
                                 std::size_t size) {
  Entry entry = request(user_data, opcode, fd);
  entry.sqe.addr = address(bytes);
  entry.sqe.len = static_cast<std::uint32_t>(size);
  return entry;
}

// ---- nop, timeouts, cancel, poll ----

[[nodiscard]] inline Entry nop(std::uint64_t user_data) { return request(user_data, Opcode::nop); }

/// A nop that answers what it is told.
[[nodiscard]] inline Entry nop_that_answers(std::uint64_t user_data, int result) {
  Entry entry = nop(user_data).flags(uapi::nop_inject_result);
  entry.sqe.len = static_cast<std::uint32_t>(result);
  return entry;
}

[[nodiscard]] inline uapi::Timespec as_timespec(Duration time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {.seconds = seconds.count(), .nanoseconds = (time - seconds).count()};
}

/// `count` is how many completions end it early; of a multishot one, how often it fires.
[[nodiscard]] inline Entry timeout(std::uint64_t user_data, Duration time, std::uint32_t flags = 0,
                                   std::uint64_t count = 0) {
  Entry entry = request(user_data, Opcode::timeout).flags(flags);
  entry.sqe.len = 1;
  entry.sqe.off = count;
  entry.time = as_timespec(time);
  return entry;
}

[[nodiscard]] inline Entry link_timeout(std::uint64_t user_data, Duration time, std::uint32_t flags = 0) {
  Entry entry = timeout(user_data, time, flags);
  entry.sqe.opcode = static_cast<std::uint8_t>(Opcode::link_timeout);
  return entry;
}

[[nodiscard]] inline Entry timeout_remove(std::uint64_t user_data, std::uint64_t target) {
  Entry entry = request(user_data, Opcode::timeout_remove);
  entry.sqe.addr = target;
  return entry;
}

[[nodiscard]] inline Entry timeout_update(std::uint64_t user_data, std::uint64_t target, Duration time,
                                          std::uint32_t flags = 0) {
  Entry entry = timeout_remove(user_data, target).flags(uapi::timeout_update | flags);
  entry.time = as_timespec(time);
  entry.time_is_second_address = true;
  return entry;
}

[[nodiscard]] inline Entry cancel(std::uint64_t user_data, std::uint64_t target, std::uint32_t flags = 0) {
  Entry entry = request(user_data, Opcode::async_cancel).flags(flags);
  entry.sqe.addr = target;
  return entry;
}

[[nodiscard]] inline Entry cancel_of_fd(std::uint64_t user_data, int fd, std::uint32_t flags = 0) {
  return request(user_data, Opcode::async_cancel, fd).flags(uapi::cancel_fd | flags);
}

[[nodiscard]] inline Entry cancel_of_opcode(std::uint64_t user_data, Opcode opcode, std::uint32_t flags = 0) {
  Entry entry = request(user_data, Opcode::async_cancel).flags(uapi::cancel_op | flags);
  entry.sqe.len = static_cast<std::uint32_t>(opcode);
  return entry;
}

[[nodiscard]] inline Entry cancel_everything(std::uint64_t user_data) {
  return request(user_data, Opcode::async_cancel).flags(uapi::cancel_any | uapi::cancel_all);
}

[[nodiscard]] inline Entry poll(std::uint64_t user_data, int fd, std::uint32_t events) {
  return request(user_data, Opcode::poll_add, fd).flags(events);
}

[[nodiscard]] inline Entry poll_multishot(std::uint64_t user_data, int fd, std::uint32_t events) {
  Entry entry = poll(user_data, fd, events);
  entry.sqe.len = uapi::poll_add_multi;
  return entry;
}

[[nodiscard]] inline Entry poll_remove(std::uint64_t user_data, std::uint64_t target) {
  Entry entry = request(user_data, Opcode::poll_remove);
  entry.sqe.addr = target;
  return entry;
}

[[nodiscard]] inline Entry poll_update(std::uint64_t user_data, std::uint64_t target, std::uint32_t events) {
  Entry entry = poll_remove(user_data, target).flags(events);
  entry.sqe.len = uapi::poll_update_events;
  return entry;
}

[[nodiscard]] inline Entry poll_rename(std::uint64_t user_data, std::uint64_t target, std::uint64_t name) {
  Entry entry = poll_remove(user_data, target);
  entry.sqe.len = uapi::poll_update_user_data;
  entry.sqe.off = name;
  return entry;
}

// ---- reading and writing ----

inline constexpr std::uint64_t at_position = ~std::uint64_t{0};  ///< the file's own position

[[nodiscard]] inline Entry read(std::uint64_t user_data, int fd, std::string& into,
                                std::uint64_t offset = at_position) {
  Entry entry = about(user_data, Opcode::read, fd, into.data(), into.size());
  entry.sqe.off = offset;
  return entry;
}

[[nodiscard]] inline Entry write(std::uint64_t user_data, int fd, std::string_view from,
                                 std::uint64_t offset = at_position) {
  Entry entry = about(user_data, Opcode::write, fd, from.data(), from.size());
  entry.sqe.off = offset;
  return entry;
}

[[nodiscard]] inline Entry fixed(Opcode opcode, std::uint64_t user_data, int fd, const void* bytes,
                                 std::size_t size, std::uint16_t index, std::uint64_t offset = 0) {
  Entry entry = about(user_data, opcode, fd, bytes, size).in_buffer(index);
  entry.sqe.off = offset;
  return entry;
}

// ---- files and paths ----

[[nodiscard]] inline Entry openat(std::uint64_t user_data, const char* path, int flags,
                                  std::uint32_t mode = 0600, int directory = AT_FDCWD) {
  return about(user_data, Opcode::openat, directory, path, mode).flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry close(std::uint64_t user_data, int fd) {
  return request(user_data, Opcode::close, fd);
}

[[nodiscard]] inline Entry close_slot(std::uint64_t user_data, std::uint32_t slot) {
  return request(user_data, Opcode::close, 0).into_slot(slot);
}

/// A request about a path in the working directory, and `len` as that opcode has it.
[[nodiscard]] inline Entry on_path(std::uint64_t user_data, Opcode opcode, const char* path,
                                   std::uint32_t len = 0) {
  return about(user_data, opcode, AT_FDCWD, path, len);
}

/// A request about two paths: renameat and linkat.
[[nodiscard]] inline Entry on_paths(std::uint64_t user_data, Opcode opcode, const char* from,
                                    const char* to) {
  Entry entry = on_path(user_data, opcode, from, static_cast<std::uint32_t>(AT_FDCWD));
  entry.sqe.off = address(to);
  return entry;
}

// ---- other rings, pipes, processes, futexes ----

/// Posts a CQE in another ring.
[[nodiscard]] inline Entry message(std::uint64_t user_data, int ring, std::uint64_t their_user_data,
                                   int res) {
  Entry entry = request(user_data, Opcode::msg_ring, ring);
  entry.sqe.off = their_user_data;
  entry.sqe.len = static_cast<std::uint32_t>(res);
  return entry;
}

/// Puts the file of our slot into a slot of another ring.
[[nodiscard]] inline Entry message_with_file(std::uint64_t user_data, int ring, std::uint64_t their_user_data,
                                             std::uint32_t our_slot) {
  Entry entry = message(user_data, ring, their_user_data, 0);
  entry.sqe.addr = uapi::msg_send_fd;
  entry.sqe.addr3 = our_slot;
  return entry;
}

/// `size` bytes between two pipes, or a pipe and a file at its offset.
[[nodiscard]] inline Entry splice(std::uint64_t user_data, int from, std::uint64_t from_offset, int to,
                                  std::uint64_t to_offset, std::uint32_t size) {
  Entry entry = request(user_data, Opcode::splice, to);
  entry.sqe.off = to_offset;
  entry.sqe.addr = from_offset;
  entry.sqe.len = size;
  entry.sqe.file_index = static_cast<std::uint32_t>(from);
  return entry;
}

[[nodiscard]] inline Entry tee(std::uint64_t user_data, int from, int to, std::uint32_t size) {
  Entry entry = splice(user_data, from, 0, to, 0, size);
  entry.sqe.opcode = static_cast<std::uint8_t>(Opcode::tee);
  return entry;
}

// ---- sockets ----

[[nodiscard]] inline Entry recv(std::uint64_t user_data, int fd, std::string& into, int flags = 0) {
  return about(user_data, Opcode::recv, fd, into.data(), into.size())
      .flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry send(std::uint64_t user_data, int fd, std::string_view from, int flags = 0) {
  return about(user_data, Opcode::send, fd, from.data(), from.size())
      .flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry accept(std::uint64_t user_data, int fd, int flags = SOCK_CLOEXEC) {
  return request(user_data, Opcode::accept, fd).flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry connect(std::uint64_t user_data, int fd, const void* where, std::size_t length) {
  Entry entry = about(user_data, Opcode::connect, fd, where, 0);
  entry.sqe.off = length;
  return entry;
}

[[nodiscard]] inline Entry shutdown(std::uint64_t user_data, int fd, int how) {
  Entry entry = request(user_data, Opcode::shutdown, fd);
  entry.sqe.len = static_cast<std::uint32_t>(how);
  return entry;
}

[[nodiscard]] inline Entry recvmsg(std::uint64_t user_data, int fd, const msghdr& message, int flags = 0) {
  return about(user_data, Opcode::recvmsg, fd, &message, 1).flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry sendmsg(std::uint64_t user_data, int fd, const msghdr& message, int flags = 0) {
  return about(user_data, Opcode::sendmsg, fd, &message, 1).flags(static_cast<std::uint32_t>(flags));
}

[[nodiscard]] inline Entry send_zc(std::uint64_t user_data, int fd, std::string_view from, int flags = 0) {
  return about(user_data, Opcode::send_zc, fd, from.data(), from.size())
      .flags(static_cast<std::uint32_t>(flags));
}

/// Receives again and again, into buffers of a group.
[[nodiscard]] inline Entry recv_multishot(std::uint64_t user_data, int fd, std::uint16_t group) {
  return about(user_data, Opcode::recv, fd, nullptr, 0).from_group(group).ioprio(uapi::recv_multishot);
}

[[nodiscard]] inline Entry read_multishot(std::uint64_t user_data, int fd, std::uint16_t group) {
  Entry entry = about(user_data, Opcode::read_multishot, fd, nullptr, 0).from_group(group);
  entry.sqe.off = at_position;
  return entry;
}

[[nodiscard]] inline Entry accept_multishot(std::uint64_t user_data, int fd) {
  return accept(user_data, fd).ioprio(uapi::accept_multishot);
}

[[nodiscard]] inline Entry make_socket(std::uint64_t user_data, int domain, int type, int protocol = 0) {
  Entry entry = request(user_data, Opcode::socket, domain);
  entry.sqe.off = static_cast<std::uint64_t>(type);
  entry.sqe.len = static_cast<std::uint32_t>(protocol);
  return entry;
}

[[nodiscard]] inline Entry bind(std::uint64_t user_data, int fd, const void* where, std::size_t length) {
  Entry entry = about(user_data, Opcode::bind, fd, where, 0);
  entry.sqe.off = length;
  return entry;
}

[[nodiscard]] inline Entry listen(std::uint64_t user_data, int fd, int backlog) {
  return about(user_data, Opcode::listen, fd, nullptr, static_cast<std::size_t>(backlog));
}

/// `command` is uapi::socket_getsockopt or uapi::socket_setsockopt.
[[nodiscard]] inline Entry socket_option(std::uint64_t user_data, std::uint64_t command, int fd, int level,
                                         int name, const int& value) {
  Entry entry = request(user_data, Opcode::uring_cmd, fd);
  entry.sqe.off = command;
  entry.sqe.addr = static_cast<std::uint32_t>(level) | std::uint64_t{static_cast<std::uint32_t>(name)} << 32;
  entry.sqe.file_index = sizeof value;
  entry.sqe.addr3 = address(&value);
  return entry;
}

}  // namespace corering::conformance
