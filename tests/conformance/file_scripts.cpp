/// file_scripts.cpp — files and paths.
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

SCRIPTS(Files);

TEST_P(Files, are_read_at_an_offset_and_at_their_position) {
  const int file = outside.file("abcdefghij");
  std::string& into = outside.room(4);
  script.submit({read(1, file, into, 2)});
  script.expect({{1, 4}});
  EXPECT_EQ(into, "cdef");
  script.submit({read(2, file, into).hard_linked(), read(3, file, into).hard_linked(), read(4, file, into)});
  script.expect({{2, 4}, {3, 4}, {4, 2}});
  EXPECT_EQ(into, "ijgh");
}

TEST_P(Files, end_with_zero) {
  const int file = outside.file("abc");
  std::string& into = outside.room(4);
  script.submit({read(1, file, into, 3), read(2, file, into, 100)});
  script.expect_in_any_order({{1, 0}, {2, 0}});
}

TEST_P(Files, are_written) {
  const int file = outside.file("abcdef");
  script.submit({write(1, file, "XY", 2).linked(), request(2, Opcode::fsync, file)});
  script.expect({{1, 2}, {2, 0}});
  EXPECT_EQ(outside.read(file, 16), "abXYef");
}

TEST_P(Files, are_read_and_written_in_parts) {
  const int file = outside.file("");
  std::string& first = outside.room(3);
  std::string& second = outside.room(8);
  auto& from =
      outside.object(std::array<iovec, 2>{{{const_cast<char*>("ab"), 2}, {const_cast<char*>("cdef"), 4}}});
  auto& into = outside.object(std::array<iovec, 2>{{{first.data(), 3}, {second.data(), 8}}});
  Entry write = about(1, Opcode::writev, file, from.data(), 2);
  Entry read = about(2, Opcode::readv, file, into.data(), 2);
  write.sqe.off = read.sqe.off = 0;
  script.submit({write.linked(), read});
  script.expect({{1, 6}, {2, 6}});
  EXPECT_EQ(first + second, "abcdef.....");
}

TEST_P(Files, that_are_not_open_say_so) {
  std::string& into = outside.room(4);
  script.submit({read(1, -1, into), write(2, 9999, "x"), request(3, Opcode::fsync, -1), close(4, 9999)});
  script.expect_in_any_order({{1, -EBADF}, {2, -EBADF}, {3, -EBADF}, {4, -EBADF}});
}

TEST_P(Files, that_are_directories_are_not_read) {
  script.submit({openat(1, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)});
  const int directory = outside.keep(script.result_of(1));
  std::string& into = outside.room(4);
  script.submit({read(2, directory, into, 0)});
  script.expect({{2, -EISDIR}});
}

TEST_P(Files, are_not_read_into_memory_that_is_not_there) {
  const int file = outside.file("abc");
  Entry nowhere = about(1, Opcode::read, file, nullptr, 3);
  script.submit({nowhere});
  script.expect({{1, -EFAULT}});
}

TEST_P(Files, are_given_room_and_cut) {
  NEEDS(Opcode::ftruncate);
  const int file = outside.file("abc");
  Entry room = request(1, Opcode::fallocate, file);
  room.sqe.addr = 4096;
  room.sqe.off = 0;
  Entry cut = request(2, Opcode::ftruncate, file);
  cut.sqe.off = 10;
  script.submit({room.linked(), cut});
  script.expect({{1, 0}, {2, 0}});
  EXPECT_EQ(outside.size_of_file(file), 10U);
}

TEST_P(Files, take_advice_and_write_back) {
  const int file = outside.file("abc");
  Entry advice = request(1, Opcode::fadvise, file).flags(POSIX_FADV_WILLNEED);
  Entry back = request(2, Opcode::sync_file_range, file).flags(SYNC_FILE_RANGE_WRITE);
  Entry bad_advice = request(3, Opcode::fadvise, file).flags(99);
  advice.sqe.off = back.sqe.off = bad_advice.sqe.off = 0;
  script.submit({advice, back, bad_advice});
  script.expect_in_any_order({{1, 0}, {2, 0}, {3, -EINVAL}});
}

TEST_P(Files, are_not_written_back_for_a_pipe) {
  const Pipe pipe = outside.pipe();
  script.submit({request(1, Opcode::fsync, pipe.writer)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Files, in_memory_take_advice) {
  NOT_SIMULATED("advice about memory");
  void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  *static_cast<char*>(memory) = 'x';
  script.submit({about(1, Opcode::madvise, -1, memory, 4096).flags(MADV_DONTNEED)});
  script.expect({{1, 0}});
  EXPECT_EQ(*static_cast<char*>(memory), '\0');
  ::munmap(memory, 4096);
}

// ---- paths ----

TEST_P(Files, have_no_negative_places) {
  NEEDS(Opcode::ftruncate);
  const int file = outside.file("text");
  Entry cut = request(1, Opcode::ftruncate, file);
  cut.sqe.off = static_cast<std::uint64_t>(-1);
  Entry grow = request(2, Opcode::fallocate, file);
  grow.sqe.off = static_cast<std::uint64_t>(-4096);
  grow.sqe.addr = 4096;
  Entry nothing = request(3, Opcode::fallocate, file);
  script.submit({cut, grow, nothing, write(4, file, "x", static_cast<std::uint64_t>(-2))});
  script.expect_in_any_order({{1, -EINVAL}, {2, -EINVAL}, {3, -EINVAL}, {4, -EINVAL}});
  EXPECT_EQ(outside.size_of_file(file), 4U);
}

TEST_P(Files, in_memory_are_never_waited_for) {
  NOT_SIMULATED("files in memory");
  const int file = outside.keep(::memfd_create("file", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file, 16), 0);
  std::string& into = outside.room(16);
  script.submit({poll(1, file, POLLPRI), read(2, file, into, 0)});
  script.expect_in_any_order({{1, -EINVAL}, {2, 16}});
  // A call moves MAX_RW_COUNT bytes at most: to ask for more breaks no chain.
  constexpr std::size_t most = 0x7fff'f000, too_much = 0xffff'f000;
  void* const nowhere =
      ::mmap(nullptr, too_much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(nowhere, MAP_FAILED);
  const int nothing = outside.keep(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  Entry whole = about(3, Opcode::write, nothing, nowhere, too_much);
  script.submit({whole.linked(), nop(4)});
  script.expect({{3, static_cast<int>(most)}, {4, 0}});
  ::munmap(nowhere, too_much);
}

TEST_P(Files, know_one_kind_of_a_weaker_sync) {
  const int file = outside.file("text");
  script.submit({request(1, Opcode::fsync, file).flags(4)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Files, end_where_no_file_goes_on) {
  const int file = outside.file("text");
  Entry grow = request(1, Opcode::fallocate, file);
  grow.sqe.off = static_cast<std::uint64_t>(INT64_MAX);
  grow.sqe.addr = 4096;
  script.submit({grow});
  script.expect({{1, -EFBIG}});
  EXPECT_EQ(outside.size_of_file(file), 4U);
}

SCRIPTS(Paths);

TEST_P(Paths, are_opened_and_closed) {
  const char* const path = outside.path("new");
  script.submit({openat(1, path, O_RDWR | O_CREAT | O_CLOEXEC)});
  const int file = script.result_of(1);
  ASSERT_GE(file, 0);
  EXPECT_TRUE(outside.is_closed_on_exec(file));
  script.submit({write(2, file, "text", 0).linked(), close(3, file)});
  script.expect({{2, 4}, {3, 0}});
  EXPECT_FALSE(outside.is_open(file));
  EXPECT_EQ(outside.content_of(path), "text");
}

TEST_P(Paths, that_lead_nowhere_say_so) {
  const char* const path = outside.path("nothing");
  script.submit({openat(1, path, O_RDONLY), on_path(2, Opcode::unlinkat, path),
                 on_paths(3, Opcode::renameat, path, path),
                 on_path(4, Opcode::mkdirat, "/no/such/place", 0700)});
  script.expect_in_any_order({{1, -ENOENT}, {2, -ENOENT}, {3, -ENOENT}, {4, -ENOENT}});
}

TEST_P(Paths, begin_at_an_open_directory) {
  const int file = outside.file("text");
  const char* const path = outside.path("gone");
  script.submit({on_path(1, Opcode::mkdirat, path, 0700)});
  script.expect({{1, 0}});
  script.submit({openat(2, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)});
  const int gone = outside.keep(script.result_of(2));
  script.submit({on_path(3, Opcode::unlinkat, path).flags(AT_REMOVEDIR)});
  script.expect({{3, 0}});
  const auto below = [](std::uint64_t user_data, int directory) {
    return openat(user_data, "made_here", O_RDWR | O_CREAT | O_CLOEXEC, 0600, directory);
  };
  script.submit({below(4, 1'000'000), below(5, file), below(6, gone),
                 openat(7, "not_there", O_RDONLY | O_CLOEXEC, 0, file)});
  script.expect_in_any_order({{4, -EBADF}, {5, -ENOTDIR}, {6, -ENOENT}, {7, -ENOTDIR}});
}

TEST_P(Paths, pass_directories_that_are_there) {
  const char* const directory = outside.path("");
  const std::string below_file = std::string(outside.path("file")) + "/x";
  const std::string around = std::string(outside.path("nowhere")) + "/../file";
  script.submit({openat(1, outside.path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600)});
  (void)outside.keep(script.result_of(1));
  Entry status = on_path(6, Opcode::statx, "", STATX_SIZE);
  status.sqe.off = address(&outside.object<struct statx>());
  script.submit({status});
  script.expect({{6, -ENOENT}});
  script.submit({openat(2, "", O_RDONLY), openat(3, directory, O_RDONLY | O_CREAT, 0600),
                 openat(4, below_file.c_str(), O_RDONLY), openat(5, around.c_str(), O_RDONLY)});
  script.expect_in_any_order({{2, -ENOENT}, {3, -EISDIR}, {4, -ENOTDIR}, {5, -ENOENT}});
}

TEST_P(Paths, that_are_taken_are_not_made) {
  const char* const path = outside.path("taken");
  script.submit({on_path(1, Opcode::mkdirat, path, 0700).hard_linked(),
                 on_path(2, Opcode::mkdirat, path, 0700).hard_linked(),
                 openat(3, path, O_RDWR | O_CREAT | O_EXCL)});
  script.expect({{1, 0}, {2, -EEXIST}, {3, -EEXIST}});
}

TEST_P(Paths, are_made_renamed_and_removed) {
  const char* const old_name = outside.path("old");
  const char* const new_name = outside.path("new");
  script.submit({on_path(1, Opcode::mkdirat, old_name, 0700).linked(),
                 on_paths(2, Opcode::renameat, old_name, new_name).linked(),
                 on_path(3, Opcode::unlinkat, new_name).flags(AT_REMOVEDIR)});
  script.expect({{1, 0}, {2, 0}, {3, 0}});
  EXPECT_FALSE(outside.exists(new_name));
}

TEST_P(Paths, of_one_file_both_stay_when_one_is_renamed_to_the_other) {
  const char* const one = outside.path("one");
  const char* const other = outside.path("other");
  script.submit({openat(1, one, O_RDWR | O_CREAT | O_CLOEXEC)});
  (void)outside.keep(script.result_of(1));
  script.submit({on_paths(2, Opcode::linkat, one, other)});
  script.expect({{2, 0}});
  script.submit({on_paths(3, Opcode::renameat, one, other)});
  script.expect({{3, 0}});
  EXPECT_TRUE(outside.exists(one) && outside.exists(other));
}

TEST_P(Paths, of_a_directory_do_not_move_into_it) {
  const char* const directory = outside.path("directory");
  const char* const inside = outside.path("directory/inside");
  script.submit({on_path(1, Opcode::mkdirat, directory, 0700)});
  script.expect({{1, 0}});
  script.submit({on_paths(2, Opcode::renameat, directory, inside)});
  script.expect({{2, -EINVAL}});
  script.submit({on_path(3, Opcode::unlinkat, outside.path("directory/.")).flags(AT_REMOVEDIR)});
  script.expect({{3, -EINVAL}});
}

TEST_P(Paths, are_linked) {
  const char* const path = outside.path("file");
  const char* const hard = outside.path("hard");
  script.submit({openat(1, path, O_RDWR | O_CREAT | O_CLOEXEC)});
  outside.write(outside.keep(script.result_of(1)), "text");
  script.submit({on_paths(2, Opcode::linkat, path, hard)});
  script.expect({{2, 0}});
  EXPECT_EQ(outside.content_of(hard), "text");
}

TEST_P(Paths, are_linked_by_their_name) {
  NOT_SIMULATED("symbolic links");
  const char* const path = outside.path("file");
  const char* const soft = outside.path("soft");
  script.submit({openat(1, path, O_RDWR | O_CREAT | O_CLOEXEC)});
  outside.write(outside.keep(script.result_of(1)), "text");
  Entry symlink = on_path(2, Opcode::symlinkat, path);
  symlink.sqe.off = address(soft);
  script.submit({symlink});
  script.expect({{2, 0}});
  EXPECT_EQ(outside.content_of(soft), "text");
}

TEST_P(Paths, have_a_status) {
  const char* const path = outside.path("file");
  auto& status = outside.object<struct statx>();
  script.submit({openat(1, path, O_RDWR | O_CREAT | O_CLOEXEC)});
  outside.write(outside.keep(script.result_of(1)), "four");
  Entry entry = on_path(2, Opcode::statx, path, STATX_SIZE);
  entry.sqe.off = address(&status);
  script.submit({entry});
  script.expect({{2, 0}});
  EXPECT_EQ(status.stx_size, 4U);
}

TEST_P(Paths, do_not_lead_out_of_a_directory) {
  NOT_SIMULATED("open_how::resolve");
  const char* const directory = outside.path("inside");
  ASSERT_EQ(::mkdir(directory, 0700), 0);
  const int inside = outside.keep(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto& how = outside.object(open_how{.flags = O_RDONLY, .mode = 0, .resolve = RESOLVE_BENEATH});
  Entry escape = about(1, Opcode::openat2, inside, "../..", sizeof how);
  escape.sqe.off = address(&how);
  script.submit({escape});
  script.expect({{1, -EXDEV}});
}

TEST_P(Paths, of_a_fifo_are_opened_without_the_other_end) {
  NOT_SIMULATED("FIFOs");
  const char* const path = outside.path("fifo");
  ASSERT_EQ(::mkfifo(path, 0600), 0);
  script.submit({openat(1, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)});
  outside.keep(script.result_of(1));
}

TEST_P(Paths, have_attributes_where_the_file_system_has_them) {
  NOT_SIMULATED("attributes of files");
  const int file = outside.file("text");
  auto& value = outside.room(16);
  Entry set = about(1, Opcode::fsetxattr, file, "user.colour", 4);
  set.sqe.off = address("blue");
  Entry get = about(2, Opcode::fgetxattr, file, "user.colour", value.size());
  get.sqe.off = address(value.data());
  script.submit({set.linked(), get});
  const int result = script.result_of(1);
  if (result == -EOPNOTSUPP) {
    script.expect({{2, -ECANCELED}});
    GTEST_SKIP() << "this file system has no attributes";
  }
  EXPECT_EQ(result, 0);
  script.expect({{2, 4}});
  EXPECT_EQ(value.substr(0, 4), "blue");
}

}  // namespace
}  // namespace corering::conformance
