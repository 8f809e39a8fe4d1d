/// os_files_test.cpp — files, pipes and names as an emulated ring sees them, at once or on a helper.
#include <cstring>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include "emulation/os_world_fixture.hpp"

namespace corering::emulation {
namespace {

using Files = OsWorldTest;

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

TEST_F(Files, what_is_cached_is_read_at_once) {
  const std::string content = pattern(10'000);
  const TemporaryFile file(content);
  std::string into(4096, ' ');
  TestCall call(Opcode::read, file.fd);
  call.memory(into.data(), into.size()).at(100);
  const Answer answer = attempt(call);
  EXPECT_EQ(answer.kind, Kind::done);
  EXPECT_EQ(answer.result, 4096);
  EXPECT_EQ(into, content.substr(100, 4096));
  EXPECT_TRUE(has_no_more_threads());
}

TEST_F(Files, a_read_at_the_end_is_short_or_nothing) {
  const TemporaryFile file(pattern(100));
  char into[64];
  TestCall call(Opcode::read, file.fd);
  call.memory(into, sizeof into).at(80);
  EXPECT_EQ(finish(call), 20);
  TestCall beyond(Opcode::read, file.fd);
  beyond.memory(into, sizeof into).at(1000);
  EXPECT_EQ(finish(beyond), 0);
}

TEST_F(Files, without_an_offset_the_position_moves) {
  const TemporaryFile file(pattern(10));
  char into[4];
  TestCall call(Opcode::read, file.fd);
  call.memory(into, sizeof into).at(~0ULL);
  for (const int expected : {4, 4, 2, 0}) {
    call.moved = 0;
    EXPECT_EQ(finish(call), expected);
  }
}

TEST_F(Files, a_helper_reads_the_same) {
  const std::string content = pattern(10'000);
  const TemporaryFile file(content);
  std::string into(4096, ' ');
  TestCall call(Opcode::read, file.fd);
  call.memory(into.data(), into.size()).at(7000);
  call.wants_helper = true;
  EXPECT_EQ(attempt(call).kind, Kind::helper);
  EXPECT_EQ(lend(call).result, 3000);
  EXPECT_EQ(into.substr(0, 3000), content.substr(7000));
}

TEST_F(Files, a_helper_goes_on_where_the_attempt_stopped) {
  const std::string content = pattern(100);
  const TemporaryFile file(content);
  std::vector<iovec> parts;
  std::string into(60, ' ');
  for (std::size_t i = 0; i < 30; ++i) parts.push_back({&into[2 * i], 2});
  TestCall call(Opcode::readv, file.fd);
  call.memory(parts.data(), parts.size()).at(10);
  call.moved = 5;  // as if that much had been there at once
  std::memcpy(into.data(), content.data() + 10, 5);
  EXPECT_EQ(lend(call).result, 60);
  EXPECT_EQ(into, content.substr(10, 60));
}

TEST_F(Files, a_write_reaches_the_file_whoever_makes_it) {
  const TemporaryFile file;
  const std::string content = pattern(1 << 16);
  TestCall call(Opcode::write, file.fd);
  call.memory(content.data(), content.size()).at(10);
  EXPECT_EQ(finish(call), static_cast<std::int32_t>(content.size()));
  std::string into(content.size(), ' ');
  EXPECT_EQ(::pread(file.fd, into.data(), into.size(), 10), static_cast<ssize_t>(into.size()));
  EXPECT_EQ(into, content);
}

TEST_F(Files, appending_and_positions_stay_right) {
  const TemporaryFile file("abc");
  ASSERT_EQ(::fcntl(file.fd, F_SETFL, O_APPEND), 0);
  TestCall append(Opcode::write, file.fd);
  append.memory("def", 3).at(0);
  EXPECT_EQ(finish(append), 3);
  char into[8];
  EXPECT_EQ(::pread(file.fd, into, sizeof into, 0), 6);
  EXPECT_EQ(std::string_view(into, 6), "abcdef");
}

TEST_F(Files, a_direct_read_goes_to_a_helper) {
  const TemporaryFolder folder;
  const int fd = ::open(folder.in("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string content = pattern(8192);
  ASSERT_EQ(::write(fd, content.data(), content.size()), 8192);
  if (::fcntl(fd, F_SETFL, O_DIRECT) != 0) {
    ::close(fd);
    GTEST_SKIP() << "this file system has no O_DIRECT";
  }
  alignas(4096) static char into[4096];
  TestCall call(Opcode::read, fd);
  call.memory(into, sizeof into).at(4096);
  EXPECT_EQ(attempt(call).kind, Kind::helper);
  EXPECT_EQ(lend(call).result, 4096);
  EXPECT_EQ(std::string_view(into, 4096), content.substr(4096));
  ::close(fd);
}

TEST_F(Files, a_number_with_a_new_file_is_looked_at_again) {
  const TemporaryFile direct(pattern(100));
  const int number = ::dup(direct.fd);
  ::fcntl(number, F_SETFL, O_DIRECT);
  char into[10];
  TestCall call(Opcode::read, number);
  call.memory(into, sizeof into).at(0);
  (void)finish(call);
  TestCall close(Opcode::close, number);
  EXPECT_EQ(finish(close), 0);
  const TemporaryFile other(pattern(100));
  ASSERT_EQ(other.fd, number);
  call.moved = 0;
  EXPECT_EQ(attempt(call).kind, Kind::done);
}

TEST_F(Files, a_hint_about_an_earlier_file_does_not_block_a_pipe) {
  const TemporaryFile appended;
  ASSERT_EQ(::fcntl(appended.fd, F_SETFL, O_APPEND), 0);
  const int number = ::dup(appended.fd);
  TestCall call(Opcode::write, number);
  call.memory("x", 1).at(~0ULL);
  EXPECT_EQ(finish(call), 1);
  ::close(number);  // nobody tells the world
  Pipe pipe;
  ASSERT_EQ(pipe.first, number);
  const int reader = ::dup(pipe.first);
  ASSERT_EQ(::dup2(pipe.second, number), number);
  EXPECT_EQ(finish(call), 1);
  EXPECT_EQ(attempt(call).kind, Kind::done) << "the hint is gone";
  ::close(reader);
}

// ---- pipes and eventfds ----

using Pipes = OsWorldTest;

TEST_F(Pipes, a_read_waits_without_blocking_and_without_o_nonblock) {
  Pipe pipe;
  char into[8];
  TestCall call(Opcode::read, pipe.first);
  call.memory(into, sizeof into).at(0);  // a pipe has no positions
  watch(call, attempt(call));
  ASSERT_EQ(::write(pipe.second, "abc", 3), 3);
  EXPECT_EQ(report().call, &call);
  call.was_ready = true;
  EXPECT_EQ(attempt(call).result, 3);
  EXPECT_EQ(::fcntl(pipe.first, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Pipes, a_read_takes_what_is_there_and_no_more) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.second, "abc", 3), 3);
  char into[8];
  TestCall call(Opcode::read, pipe.first);
  call.memory(into, sizeof into).at(~0ULL);
  EXPECT_EQ(attempt(call).result, 3);
  ::close(std::exchange(pipe.second, -1));
  TestCall end(Opcode::read, pipe.first);
  end.memory(into, sizeof into).at(~0ULL);
  EXPECT_EQ(attempt(end).result, 0);
}

TEST_F(Pipes, a_user_who_does_not_want_to_wait_does_not) {
  const Pipe pipe;
  char into[8];
  TestCall call(Opcode::read, pipe.first);
  call.memory(into, sizeof into).at(~0ULL).flags(RWF_NOWAIT);
  EXPECT_EQ(finish(call), -EAGAIN);
}

TEST_F(Pipes, a_write_waits_until_there_is_room) {
  Pipe pipe;
  const std::string data(1 << 16, 'x');
  TestCall call(Opcode::write, pipe.second);
  call.memory(data.data(), data.size()).at(~0ULL);
  EXPECT_EQ(finish(call), static_cast<std::int32_t>(data.size()));
  call.moved = 0;
  watch(call, attempt(call));
  EXPECT_FALSE(has_report());
  std::string into(data.size(), ' ');
  ASSERT_EQ(::read(pipe.first, into.data(), into.size()), static_cast<ssize_t>(into.size()));
  EXPECT_EQ(report().call, &call);
  call.was_ready = true;
  EXPECT_EQ(attempt(call).result, static_cast<std::int32_t>(data.size()));
}

TEST_F(Pipes, an_eventfd_is_read_and_written) {
  const int counter = ::eventfd(0, EFD_CLOEXEC);
  const std::uint64_t three = 3;
  TestCall write(Opcode::write, counter);
  write.memory(&three, sizeof three).at(0);
  EXPECT_EQ(finish(write), 8);
  std::uint64_t value = 0;
  TestCall read(Opcode::read, counter);
  read.memory(&value, sizeof value).at(0);
  EXPECT_EQ(finish(read), 8);
  EXPECT_EQ(attempt(read).kind, Kind::waits);
  EXPECT_EQ(value, 3U);
  TestCall too_small(Opcode::read, counter);
  too_small.memory(&value, 4).at(0);
  EXPECT_EQ(finish(too_small), -EINVAL);
  ::close(counter);
}

TEST_F(Pipes, a_terminal_is_read_when_a_line_is_there) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(::grantpt(master), 0);
  ASSERT_EQ(::unlockpt(master), 0);
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  char into[32];
  TestCall call(Opcode::read, terminal);
  call.memory(into, sizeof into).at(~0ULL);
  watch(call, attempt(call));
  ASSERT_EQ(::write(master, "line\n", 5), 5);
  EXPECT_EQ(report().call, &call);
  call.was_ready = true;
  EXPECT_EQ(finish(call), 5);
  EXPECT_EQ(::fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
  ::close(terminal);
  ::close(master);
}

TEST_F(Pipes, bytes_are_spliced_when_both_ends_are_ready) {
  const TemporaryFile file;
  Pipe from;
  TestCall call(Opcode::splice, file.fd);
  call.sqe.file_index = static_cast<std::uint32_t>(from.first);
  call.sqe.addr = ~0ULL;
  call.sqe.len = 100;
  call.at(0);
  watch(call, attempt(call));
  ASSERT_EQ(::write(from.second, "hello", 5), 5);
  EXPECT_EQ(report().call, &call);
  EXPECT_EQ(attempt(call).kind, Kind::helper);
  EXPECT_EQ(lend(call).result, 5);
  char into[8];
  EXPECT_EQ(::pread(file.fd, into, sizeof into, 0), 5);
  call.flags(0x02);  // SPLICE_F_NONBLOCK
  EXPECT_EQ(finish(call), -EAGAIN);
}

TEST_F(Pipes, a_splice_out_of_a_file_waits_for_room) {
  const TemporaryFile file(pattern(1 << 17));
  Pipe to;
  TestCall call(Opcode::splice, to.second);
  call.sqe.file_index = static_cast<std::uint32_t>(file.fd);
  call.sqe.addr = 0;
  call.sqe.len = 1 << 17;
  call.at(~0ULL);
  EXPECT_EQ(finish(call), 1 << 16);
  watch(call, attempt(call));
  std::string into(1 << 16, ' ');
  ASSERT_EQ(::read(to.first, into.data(), into.size()), 1 << 16);
  EXPECT_EQ(into, pattern(1 << 16));
  EXPECT_EQ(report().call, &call);
}

TEST_F(Pipes, a_tee_leaves_the_bytes_where_they_are) {
  Pipe from;
  Pipe to;
  ASSERT_EQ(::write(from.second, "abc", 3), 3);
  TestCall call(Opcode::tee, to.second);
  call.sqe.file_index = static_cast<std::uint32_t>(from.first);
  call.sqe.len = 100;
  EXPECT_EQ(finish(call), 3);
  char into[8];
  EXPECT_EQ(::read(from.first, into, sizeof into), 3);
  EXPECT_EQ(::read(to.first, into, sizeof into), 3);
}

TEST_F(Pipes, a_pipe_is_made) {
  int ends[2] = {-1, -1};
  TestCall call(Opcode::pipe);
  call.sqe.addr = address(ends);
  call.flags(O_CLOEXEC);
  EXPECT_EQ(finish(call), 0);
  EXPECT_NE(::fcntl(ends[0], F_GETFD) & FD_CLOEXEC, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Pipes, an_epoll_set_is_waited_for) {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  Pipe pipe;
  epoll_event wanted{.events = EPOLLIN, .data = {.u64 = 42}};
  TestCall add(Opcode::epoll_ctl, set);
  add.memory(&wanted, EPOLL_CTL_ADD).at(static_cast<std::uint64_t>(pipe.first));
  EXPECT_EQ(finish(add), 0);
  epoll_event found{};
  TestCall wait(Opcode::epoll_wait, set);
  wait.memory(&found, 1);
  watch(wait, attempt(wait));
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_EQ(report().call, &wait);
  EXPECT_EQ(attempt(wait).result, 1);
  const std::uint64_t tag = found.data.u64;  // the structure is packed
  EXPECT_EQ(tag, 42U);
  ::close(set);
}

// ---- names ----

using Names = OsWorldTest;

TEST_F(Names, files_are_made_renamed_linked_and_removed) {
  const TemporaryFolder folder;
  const std::string first = folder.in("first");
  const std::string second = folder.in("second");
  TestCall open(Opcode::openat, AT_FDCWD);
  open.memory(first.c_str(), 0600).flags(O_CREAT | O_RDWR);
  open.keeps_private = true;
  const std::int32_t fd = finish(open);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  TestCall resize(Opcode::ftruncate, fd);
  EXPECT_EQ(finish(resize.at(4096)), 0);
  TestCall sync(Opcode::fsync, fd);
  EXPECT_EQ(finish(sync), 0);
  TestCall fill(Opcode::fallocate, fd);
  fill.sqe.addr = 8192;
  EXPECT_EQ(finish(fill.at(0)), 0);
  TestCall rename(Opcode::renameat, AT_FDCWD);
  rename.memory(first.c_str(), static_cast<std::size_t>(static_cast<std::uint32_t>(AT_FDCWD)));
  EXPECT_EQ(finish(rename.at(address(second.c_str()))), 0);
  struct statx about{};
  TestCall stat(Opcode::statx, AT_FDCWD);
  stat.memory(second.c_str(), STATX_SIZE).at(address(&about));
  EXPECT_EQ(finish(stat), 0);
  EXPECT_EQ(about.stx_size, 8192U);
  TestCall link(Opcode::linkat, AT_FDCWD);
  link.memory(second.c_str(), static_cast<std::size_t>(static_cast<std::uint32_t>(AT_FDCWD)));
  EXPECT_EQ(finish(link.at(address(first.c_str()))), 0);
  TestCall unlink(Opcode::unlinkat, AT_FDCWD);
  EXPECT_EQ(finish(unlink.memory(second.c_str(), 0)), 0);
  EXPECT_EQ(finish(unlink), -ENOENT);
  TestCall close(Opcode::close, fd);
  close.wants_helper = true;
  EXPECT_EQ(attempt(close).kind, Kind::helper);
  EXPECT_EQ(lend(close).result, 0);
}

TEST_F(Names, folders_symlinks_and_attributes_are_made) {
  const TemporaryFolder folder;
  const std::string inner = folder.in("inner");
  TestCall make(Opcode::mkdirat, AT_FDCWD);
  EXPECT_EQ(finish(make.memory(inner.c_str(), 0700)), 0);
  EXPECT_EQ(finish(make), -EEXIST);
  const std::string name = folder.in("symlink");
  TestCall symlink(Opcode::symlinkat, AT_FDCWD);
  symlink.sqe.addr = address("inner");
  EXPECT_EQ(finish(symlink.at(address(name.c_str()))), 0);
  TestCall set(Opcode::setxattr);
  set.memory("user.word", 5).at(address("hello"));
  set.sqe.addr3 = address(inner.c_str());
  const std::int32_t is_set = finish(set);
  if (is_set == -EOPNOTSUPP) GTEST_SKIP() << "this file system has no attributes of users";
  EXPECT_EQ(is_set, 0);
  char value[16];
  TestCall get(Opcode::getxattr);
  get.memory("user.word", sizeof value).at(address(value));
  get.sqe.addr3 = address(inner.c_str());
  EXPECT_EQ(finish(get), 5);
}

TEST_F(Names, opening_a_fifo_does_not_wait_for_its_other_end) {
  const TemporaryFolder folder;
  const std::string name = folder.in("fifo");
  ASSERT_EQ(::mkfifo(name.c_str(), 0600), 0);
  TestCall open(Opcode::openat, AT_FDCWD);
  open.memory(name.c_str(), 0).flags(O_RDONLY | O_CLOEXEC);
  const std::int32_t reader = finish(open);
  ASSERT_GE(reader, 0);
  EXPECT_EQ(::fcntl(reader, F_GETFL) & O_NONBLOCK, 0);
  const open_how how{.flags = O_WRONLY | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
  TestCall open2(Opcode::openat2, AT_FDCWD);
  open2.memory(name.c_str(), sizeof how).at(address(&how));
  const std::int32_t writer = finish(open2);
  ASSERT_GE(writer, 0);
  ::close(writer);
  ::close(reader);
}

TEST_F(Names, what_no_world_can_do_is_refused) {
  TestCall unknown(static_cast<Opcode>(200));
  EXPECT_EQ(finish(unknown), -EINVAL);
  TestCall of_the_ring(Opcode::nop);
  EXPECT_EQ(finish(of_the_ring), -EINVAL);
}

}  // namespace
}  // namespace corering::emulation
