/// os_calls.hpp — each operation as the system calls that stand for it, none of which waits.
///
/// An attempt is made on the ring's thread and never blocks. What can block is lent to a helper, which makes
/// the same call and may wait. No descriptor's O_NONBLOCK is changed: it belongs to every process that has
/// the file.
#pragma once

#include <cerrno>
#include <cstdint>

#include "emulation/descriptor_records.hpp"
#include "emulation/world.hpp"

namespace corering::emulation {

/// Tries the call. Never waits.
/// thread: the ring's
Answer attempt_call(DescriptorRecords& descriptors, Call& call) noexcept;

/// Learns whether it is a stream, where a short receive means that nothing is left.
void learn_socket(DescriptorRecords::Record& record, int fd) noexcept;

/// Makes the call, and may wait for a disk. It answers `waits` where it would wait for a peer.
/// thread: a helper's
Answer lent_call(Call& call) noexcept;

namespace calls {

// ---- reading and writing (os_calls_files.cpp) ----
Answer read(DescriptorRecords& descriptors, Call& call) noexcept;
Answer write(DescriptorRecords& descriptors, Call& call) noexcept;
Answer read_lent(Call& call) noexcept;
Answer write_lent(Call& call) noexcept;

// ---- sockets (os_calls_sockets.cpp) ----
Answer receive(DescriptorRecords& descriptors, Call& call) noexcept;
Answer send(DescriptorRecords& descriptors, Call& call) noexcept;
Answer socket(DescriptorRecords& descriptors, Call& call) noexcept;
Answer bind(DescriptorRecords& descriptors, Call& call) noexcept;
Answer listen(DescriptorRecords& descriptors, Call& call) noexcept;
Answer shutdown(DescriptorRecords& descriptors, Call& call) noexcept;
Answer command(DescriptorRecords& descriptors, Call& call) noexcept;

// ---- connections (os_calls_connections.cpp) ----
Answer accept(DescriptorRecords& descriptors, Call& call) noexcept;
Answer connect(DescriptorRecords& descriptors, Call& call) noexcept;

// ---- what waits in another way (os_calls_waits.cpp) ----
Answer splice(DescriptorRecords& descriptors, Call& call) noexcept;
Answer splice_lent(Call& call) noexcept;
Answer epoll_wait(DescriptorRecords& descriptors, Call& call) noexcept;
Answer epoll_ctl(DescriptorRecords& descriptors, Call& call) noexcept;
Answer wait_for_child(DescriptorRecords& descriptors, Call& call) noexcept;
/// Returns the pidfd that a wait for a child keeps in its note, or -1.
[[nodiscard]] int pidfd_of(const Call& call) noexcept;

// ---- futexes (os_calls_futex.cpp) ----
Answer futex_wait(DescriptorRecords& descriptors, Call& call) noexcept;
Answer futex_waitv(DescriptorRecords& descriptors, Call& call) noexcept;
Answer futex_wake(DescriptorRecords& descriptors, Call& call) noexcept;

// ---- files and paths, on a helper (os_calls_paths.cpp) ----
Answer fsync(Call& call) noexcept;
Answer sync_file_range(Call& call) noexcept;
Answer fallocate(Call& call) noexcept;
Answer ftruncate(Call& call) noexcept;
Answer fadvise(Call& call) noexcept;
Answer madvise(Call& call) noexcept;
Answer open(Call& call) noexcept;
Answer open2(Call& call) noexcept;
Answer stat(Call& call) noexcept;
Answer unlink(Call& call) noexcept;
Answer rename(Call& call) noexcept;
Answer make_directory(Call& call) noexcept;
Answer make_symlink(Call& call) noexcept;
Answer link(Call& call) noexcept;
Answer get_attribute(Call& call) noexcept;
Answer set_attribute(Call& call) noexcept;

}  // namespace calls

/// A helper says that a hint sent it a call for nothing. OsWorld then forgets the hints.
inline void say_hints_are_wrong(Call& call) noexcept { call.note = &call; }
[[nodiscard]] inline bool says_hints_are_wrong(const Call& call) noexcept { return call.note == &call; }

// ---- for these functions ----

template <class T>
[[nodiscard]] T* pointer(std::uint64_t field) noexcept {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(field));
}

/// Makes a system call again for as long as a signal ends it. Returns its result, or -errno.
template <class Function>
[[nodiscard]] std::int64_t retried(Function&& call) noexcept {
  for (;;) {
    const std::int64_t result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

[[nodiscard]] inline Opcode opcode_of(const Call& call) noexcept {
  return static_cast<Opcode>(call.sqe.opcode);
}

/// The call has ended. What it has moved counts more than the error that came after that.
[[nodiscard]] inline Answer ended(const Call& call, std::int64_t result) noexcept {
  return Answer::done(call.moved > 0 ? static_cast<std::int64_t>(call.moved) : result);
}

/// Returns which of `events` the descriptor shows now, or -errno.
/// follows: poll(2)
[[nodiscard]] std::int32_t shown_events(int fd, std::uint32_t events) noexcept;

[[nodiscard]] bool is_socket(int fd) noexcept;

/// Nothing more comes: a receive ends with 0, although one that does not wait is told EAGAIN for ever.
[[nodiscard]] bool has_been_shut(int fd) noexcept;

/// Waits for `event`. What says that it is ready and answers EAGAIN all the same (an error or an end that
/// stays, a receiver that is full) is asked again later: to be told again at once would be a spin.
[[nodiscard]] Answer waits_again(const Call& call, std::uint32_t event) noexcept;

}  // namespace corering::emulation
