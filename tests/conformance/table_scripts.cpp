/// table_scripts.cpp — files and buffers that are registered with the ring.
#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

SCRIPTS(FixedFiles);

TEST_P(FixedFiles, are_used_by_their_slot) {
  FileTable table(script, 4);
  const int file = outside.file("hello");
  EXPECT_EQ(table.put(2, file), 1);
  outside.close(file);  // the table holds it
  std::string& into = outside.room(5);
  script.submit({read(1, 2, into, 0).in_slot()});
  script.expect({{1, 5}});
}

TEST_P(FixedFiles, are_not_found_in_empty_slots_nor_beyond_the_table) {
  FileTable table(script, 4);
  std::string& into = outside.room(5);
  script.submit(
      {read(1, 2, into, 0).in_slot(), read(2, 4, into, 0).in_slot(), read(3, -1, into, 0).in_slot()});
  script.expect({{1, -EBADF}, {2, -EBADF}, {3, -EBADF}});
}

TEST_P(FixedFiles, are_not_found_without_a_table) {
  std::string& into = outside.room(5);
  script.submit({read(1, 0, into, 0).in_slot()});
  script.expect({{1, -EBADF}});
}

TEST_P(FixedFiles, have_one_table) {
  FileTable table(script, 4);
  uapi::RsrcRegister another{.count = 4, .flags = uapi::rsrc_register_sparse};
  EXPECT_EQ(script.registers(uapi::register_files2, &another, sizeof another), -EBUSY);
  EXPECT_EQ(script.registers(uapi::unregister_files, nullptr, 0), 0);
  EXPECT_EQ(script.registers(uapi::unregister_files, nullptr, 0), -ENXIO);
  EXPECT_EQ(table.put(0, 0), -ENXIO);
}

TEST_P(FixedFiles, are_put_into_slots_that_exist) {
  FileTable table(script, 4);
  const int file = outside.file("hello");
  EXPECT_EQ(table.put(4, file), -EINVAL);
  EXPECT_EQ(table.put(0, 9999), -EBADF);
}

TEST_P(FixedFiles, are_opened_into_the_slot_that_is_named) {
  FileTable table(script, 4);
  std::string& into = outside.room(5);
  const char* const path = outside.path("file");
  script.submit({openat(1, path, O_RDWR | O_CREAT).into_slot(3).linked(),
                 write(2, 3, "hello", 0).in_slot().linked(), read(3, 3, into, 0).in_slot().linked(),
                 close_slot(4, 3)});
  script.expect({{1, 0}, {2, 5}, {3, 5}, {4, 0}});
  EXPECT_EQ(into, "hello");
  script.submit({read(5, 3, into, 0).in_slot()});
  script.expect({{5, -EBADF}});
}

TEST_P(FixedFiles, are_opened_into_free_slots_until_none_is_left) {
  FileTable table(script, 2);
  const char* const path = outside.path("file");
  for (int slot = 0; slot < 2; ++slot) {
    script.submit({openat(1, path, O_RDONLY | O_CREAT).into_free_slot()});
    script.expect({{1, slot}});
  }
  script.submit({openat(1, path, O_RDONLY).into_free_slot()});
  script.expect({{1, -ENFILE}});
  script.submit({close_slot(2, 0).linked(), openat(3, path, O_RDONLY).into_free_slot()});
  script.expect({{2, 0}, {3, 0}});
}

TEST_P(FixedFiles, are_opened_into_no_slot_without_a_table) {
  script.submit({openat(1, "/", O_RDONLY | O_DIRECTORY).into_free_slot()});
  script.expect({{1, Answer::either({-ENFILE, -ENXIO}, "a table that is not there is full, or not there")}});
}

TEST_P(FixedFiles, take_the_place_of_what_was_in_the_slot) {
  FileTable table(script, 2);
  table.put(1, outside.file("old"));
  std::string& into = outside.room(3);
  const char* const path = outside.path("new");
  script.submit({openat(1, path, O_RDWR | O_CREAT).into_slot(1).linked(),
                 write(2, 1, "new", 0).in_slot().linked(), read(3, 1, into, 0).in_slot()});
  script.expect({{1, 0}, {2, 3}, {3, 3}});
  EXPECT_EQ(into, "new");
}

TEST_P(FixedFiles, that_are_taken_out_stay_with_what_is_in_flight) {
  DIFFERS_WHEN_EMULATED("a request does not keep a file whose slot is emptied");
  FileTable table(script, 2);
  const Pair pair = outside.socket_pair();
  table.put(1, pair.ours);
  outside.close(pair.ours);
  std::string& into = outside.room(8);
  script.submit({recv(1, 1, into).in_slot()});
  EXPECT_EQ(table.put(1, -1), 1);
  script.submit({recv(2, 1, into).in_slot()});
  script.expect({{2, -EBADF}});
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5}});
}

TEST_P(FixedFiles, are_closed_once) {
  FileTable table(script, 2);
  table.put(1, outside.file("text"));
  script.submit({close_slot(1, 1).hard_linked(), close_slot(2, 1).hard_linked(), close_slot(3, 7)});
  script.expect({{1, 0}, {2, -EBADF}, {3, -EINVAL}});
}

TEST_P(FixedFiles, are_closed_once_by_helpers_too) {
  FileTable table(script, 2);
  const Pair pair = outside.socket_pair();
  table.put(1, pair.ours);
  outside.close(pair.ours);
  script.submit({close_slot(1, 1).async().hard_linked(), close_slot(2, 1).async()});
  script.expect({{1, 0}, {2, -EBADF}});
  std::string& into = outside.room(8);
  script.submit({recv(3, pair.theirs, into)});  // the slot's was the socket's last descriptor
  script.expect({{3, 0}});
}

TEST_P(FixedFiles, may_be_connections) {
  FileTable table(script, 4);
  const TcpListener listener = outside.tcp_listener();
  const int client = outside.connected_to(listener.address);
  script.submit({accept(1, listener.fd, 0).into_slot(2)});
  script.expect({{1, 0}});
  outside.write(client, "hello");
  std::string& into = outside.room(8);
  script.submit({recv(2, 2, into).in_slot()});
  script.expect({{2, 5}});
}

TEST_P(FixedFiles, may_not_be_close_on_exec) {
  FileTable table(script, 4);
  const TcpListener listener = outside.tcp_listener();
  script.submit({openat(1, "/dev/null", O_RDONLY | O_CLOEXEC).into_slot(0),
                 accept(2, listener.fd, SOCK_CLOEXEC).into_slot(0)});
  script.expect({{1, -EINVAL}, {2, -EINVAL}});
}

TEST_P(FixedFiles, may_be_connections_that_come_again_and_again) {
  FileTable table(script, 2);
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept(1, listener.fd, 0).ioprio(uapi::accept_multishot).into_free_slot()});
  outside.connected_to(listener.address);
  script.expect({{1, 0, more}});
  outside.connected_to(listener.address);
  script.expect({{1, 1, more}});
  outside.connected_to(listener.address);
  script.expect({{1, -ENFILE}});
}

TEST_P(FixedFiles, may_be_sockets_that_are_made_there) {
  FileTable table(script, 2);
  const TcpListener listener = outside.tcp_listener();
  script.submit({make_socket(1, AF_INET, SOCK_STREAM).into_slot(1).linked(),
                 connect(2, 1, &listener.address, sizeof listener.address).in_slot()});
  script.expect({{1, 0}, {2, 0}});
}

TEST_P(FixedFiles, are_updated_by_a_request) {
  FileTable table(script, 4);
  auto& fds = outside.object(std::array<int, 2>{outside.file("one"), outside.file("two")});
  Entry update = about(1, Opcode::files_update, -1, fds.data(), 2);
  update.sqe.off = 1;
  std::string& into = outside.room(3);
  script.submit({update});
  script.expect({{1, 2}});
  script.submit({read(2, 2, into, 0).in_slot()});
  script.expect({{2, 3}});
  EXPECT_EQ(into, "two");
}

TEST_P(FixedFiles, are_put_into_a_free_slot_by_a_request) {
  FileTable table(script, 4);
  auto& fd = outside.object(outside.file("one"));
  Entry update = about(1, Opcode::files_update, -1, &fd, 1);
  update.sqe.off = uapi::file_index_alloc;
  script.submit({update});
  script.expect({{1, 1}});
  EXPECT_EQ(fd, 0) << "the slot stands where the descriptor was";
}

TEST_P(FixedFiles, become_descriptors) {
  NEEDS(Opcode::fixed_fd_install);
  FileTable table(script, 2);
  table.put(1, outside.file("text"));
  script.submit({request(1, Opcode::fixed_fd_install, 1).in_slot()});
  const int fd = outside.keep(script.result_of(1));
  EXPECT_TRUE(outside.is_closed_on_exec(fd));
  EXPECT_EQ(outside.read(fd, 8), "text");
  script.submit(
      {request(2, Opcode::fixed_fd_install, 0).in_slot(), request(3, Opcode::fixed_fd_install, fd)});
  script.expect({{2, -EBADF}, {3, -EBADF}});
}

// ---- buffers ----

SCRIPTS(FixedBuffers);

/// Registers one buffer; the table's other slot stays empty.
int register_one(Script& script, std::string& buffer) {
  std::array<iovec, 2> parts{{{buffer.data(), buffer.size()}, {nullptr, 0}}};
  uapi::RsrcRegister wish{.count = 2, .data = address(parts.data())};
  return script.registers(uapi::register_buffers2, &wish, sizeof wish);
}

TEST_P(FixedBuffers, are_read_into_and_written_from) {
  std::string& buffer = outside.room(16);
  ASSERT_EQ(register_one(script, buffer), 0);
  const int from = outside.file("hello");
  const int to = outside.file("");
  script.submit({fixed(Opcode::read_fixed, 1, from, buffer.data() + 4, 5, 0).linked(),
                 fixed(Opcode::write_fixed, 2, to, buffer.data() + 4, 5, 0)});
  script.expect({{1, 5}, {2, 5}});
  EXPECT_EQ(outside.read(to, 16), "hello");
}

TEST_P(FixedBuffers, are_not_left) {
  std::string& buffer = outside.room(16);
  ASSERT_EQ(register_one(script, buffer), 0);
  const int from = outside.file("hello");
  script.submit({fixed(Opcode::read_fixed, 1, from, buffer.data() + 12, 5, 0),
                 fixed(Opcode::read_fixed, 2, from, buffer.data() - 1, 5, 0)});
  script.expect({{1, -EFAULT}, {2, -EFAULT}});
}

TEST_P(FixedBuffers, are_not_found_in_empty_slots_nor_beyond_the_table) {
  std::string& buffer = outside.room(16);
  ASSERT_EQ(register_one(script, buffer), 0);
  const int from = outside.file("hello");
  script.submit({fixed(Opcode::read_fixed, 1, from, buffer.data(), 5, 1),
                 fixed(Opcode::read_fixed, 2, from, buffer.data(), 5, 2)});
  script.expect({{1, -EFAULT}, {2, -EFAULT}});
}

TEST_P(FixedBuffers, are_not_found_without_a_table) {
  std::string& buffer = outside.room(16);
  const int from = outside.file("hello");
  script.submit({fixed(Opcode::read_fixed, 1, from, buffer.data(), 5, 0)});
  script.expect({{1, -EFAULT}});
  EXPECT_EQ(script.registers(uapi::unregister_buffers, nullptr, 0), -ENXIO);
}

TEST_P(FixedBuffers, have_one_table) {
  std::string& buffer = outside.room(16);
  EXPECT_EQ(register_one(script, buffer), 0);
  EXPECT_EQ(register_one(script, buffer), -EBUSY);
  EXPECT_EQ(script.registers(uapi::unregister_buffers, nullptr, 0), 0);
}

TEST_P(FixedBuffers, are_exchanged) {
  std::string& buffer = outside.room(16);
  std::string& other = outside.room(16);
  ASSERT_EQ(register_one(script, buffer), 0);
  iovec part{other.data(), other.size()};
  uapi::RsrcUpdate2 update{.offset = 1, .data = address(&part), .count = 1};
  EXPECT_EQ(script.registers(uapi::register_buffers_update, &update, sizeof update), 1);
  const int from = outside.file("hello");
  script.submit({fixed(Opcode::read_fixed, 1, from, other.data(), 5, 1)});
  script.expect({{1, 5}});
}

TEST_P(FixedBuffers, are_read_into_in_parts) {
  NEEDS(Opcode::readv_fixed);
  std::string& buffer = outside.room(16);
  ASSERT_EQ(register_one(script, buffer), 0);
  const int from = outside.file("hello");
  auto& parts = outside.object(std::array<iovec, 2>{{{buffer.data() + 8, 2}, {buffer.data(), 3}}});
  auto& outside_of_it = outside.object(std::array<iovec, 1>{{{buffer.data() + 8, 100}}});
  script.submit({fixed(Opcode::readv_fixed, 1, from, parts.data(), 2, 0),
                 fixed(Opcode::readv_fixed, 2, from, outside_of_it.data(), 1, 0)});
  script.expect_in_any_order({{1, 5}, {2, -EFAULT}});
  EXPECT_EQ(buffer, "llo.....he......");
}

}  // namespace
}  // namespace corering::conformance
