/// registration_scripts.cpp — tables of files, of buffers and groups of buffers that a ring does not take.
#include <array>
#include <cerrno>
#include <sys/mman.h>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

class Registrations : public Conformance {
 protected:
  int file_table(uapi::RsrcRegister wish, unsigned size = sizeof(uapi::RsrcRegister)) {
    return script.registers(uapi::register_files2, &wish, size);
  }
  int files(std::array<std::int32_t, 3> list) {
    return file_table({.count = 3, .data = address(list.data())});
  }
  int update_files(std::uint32_t offset, std::array<std::int32_t, 3> list, unsigned count = 3) {
    uapi::RsrcUpdate update{.offset = offset, .data = address(list.data())};
    return script.registers(uapi::register_files_update, &update, count);
  }
  int no_files() { return script.registers(uapi::unregister_files, nullptr, 0); }

  int buffer_table(uapi::RsrcRegister wish, unsigned size = sizeof(uapi::RsrcRegister)) {
    return script.registers(uapi::register_buffers2, &wish, size);
  }
  int buffers(std::array<iovec, 2> list) { return buffer_table({.count = 2, .data = address(list.data())}); }
  int update_buffers(std::uint32_t offset, std::array<iovec, 2> list, std::uint32_t count = 2) {
    uapi::RsrcUpdate2 update{.offset = offset, .data = address(list.data()), .count = count};
    return script.registers(uapi::register_buffers_update, &update, sizeof update);
  }
  int no_buffers() { return script.registers(uapi::unregister_buffers, nullptr, 0); }

  int group(uapi::BufferRingRegister wish, unsigned count = 1) {
    return script.registers(uapi::register_pbuf_ring, &wish, count);
  }
  int no_group(std::uint16_t number) {
    uapi::BufferRingRegister wish{.group = number};
    return script.registers(uapi::unregister_pbuf_ring, &wish, 1);
  }
};
SCRIPTS_OF(Registrations);

TEST_P(Registrations, of_files_that_are_wrong_are_refused) {
  COMPARED_WITH_LINUX_6_18;
  constexpr std::uint32_t sparse = uapi::rsrc_register_sparse;
  std::array<std::int32_t, 3> empty = {-1, -1, -1};
  EXPECT_EQ(no_files(), -ENXIO);
  EXPECT_EQ(file_table({.count = 0, .flags = sparse}), -EINVAL);
  EXPECT_EQ(file_table({.count = 3, .flags = 8}), -EINVAL);
  EXPECT_EQ(file_table({.count = 3, .flags = sparse, .reserved = 1}), -EINVAL);
  EXPECT_EQ(file_table({.count = 3, .flags = sparse, .data = address(empty.data())}), -EINVAL);
  EXPECT_EQ(file_table({.count = 3, .flags = sparse}, 8), -EINVAL);
  EXPECT_EQ(file_table({.count = 1U << 30, .flags = sparse}), -EMFILE);
  const int file = outside.file("text");
  EXPECT_EQ(files({file, 9999, -1}), -EBADF);
  EXPECT_EQ(files({file, script.ring().descriptor(), -1}), -EBADF);
  EXPECT_EQ(files({file, -2, -1}), -EBADF);
  EXPECT_EQ(no_files(), -ENXIO);  // nothing of all that has stayed
}

TEST_P(Registrations, of_files_are_changed_until_one_is_wrong) {
  COMPARED_WITH_LINUX_6_18;
  const int file = outside.file("text");
  EXPECT_EQ(update_files(0, {file, file, file}), -ENXIO);
  ASSERT_EQ(files({file, -1, -1}), 0);
  EXPECT_EQ(files({file, -1, -1}), -EBUSY);
  EXPECT_EQ(update_files(0, {file, -2, -1}), 3);
  EXPECT_EQ(update_files(0, {file, 9999, -1}), 1);
  EXPECT_EQ(update_files(0, {9999, file, -1}), -EBADF);
  EXPECT_EQ(update_files(0, {file, script.ring().descriptor(), -1}), 1);
  EXPECT_EQ(update_files(0, {file, -1, -1}, 0), -EINVAL);
  EXPECT_EQ(update_files(1, {file, -1, -1}), -EINVAL);
  EXPECT_EQ(update_files(~0U, {file, -1, -1}), -EOVERFLOW);
  EXPECT_EQ(script.registers(uapi::unregister_files, nullptr, 1), -EINVAL);
  EXPECT_EQ(no_files(), 0);
  EXPECT_EQ(no_files(), -ENXIO);
}

TEST_P(Registrations, of_buffers_that_are_wrong_are_refused) {
  COMPARED_WITH_LINUX_6_18;
  std::string& room = outside.room(64);
  const iovec good{room.data(), 32};
  EXPECT_EQ(no_buffers(), -ENXIO);
  EXPECT_EQ(buffer_table({.count = 0, .flags = uapi::rsrc_register_sparse}), -EINVAL);
  EXPECT_EQ(buffer_table({.count = 1U << 20, .flags = uapi::rsrc_register_sparse}), -EINVAL);
  EXPECT_EQ(buffers({good, {nullptr, 8}}), -EFAULT);
  EXPECT_EQ(buffers({good, {room.data(), 0}}), -EFAULT);
  EXPECT_EQ(buffers({good, {room.data(), (1UL << 30) + 1}}), -EFAULT);
  EXPECT_EQ(no_buffers(), -ENXIO);
  ASSERT_EQ(buffers({good, {nullptr, 0}}), 0);
  EXPECT_EQ(buffers({good, good}), -EBUSY);
  EXPECT_EQ(update_buffers(0, {good, good}), 2);
  EXPECT_EQ(update_buffers(0, {good, {nullptr, 8}}), 1);
  EXPECT_EQ(update_buffers(1, {good, good}), -EINVAL);
  EXPECT_EQ(update_buffers(1, {good, good}, 0), -EINVAL);
  EXPECT_EQ(no_buffers(), 0);
}

TEST_P(Registrations, of_groups_that_are_wrong_are_refused) {
  COMPARED_WITH_LINUX_6_18;
  constexpr std::size_t size = 65536;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const std::uint64_t at = address(memory);
  for (const std::uint32_t entries : {0U, 3U, 65536U})
    EXPECT_EQ(group({.address = at, .entries = entries, .group = 1}), -EINVAL) << entries;
  EXPECT_EQ(group({.address = 0, .entries = 4, .group = 1}), -EFAULT);
  EXPECT_EQ(group({.address = at + 16, .entries = 4, .group = 1}), -EINVAL);
  EXPECT_EQ(group({.address = at, .entries = 4, .group = 1, .flags = 8}), -EINVAL);
  EXPECT_EQ(group({.address = at, .entries = 4, .group = 1, .reserved = {1}}), -EINVAL);
  EXPECT_EQ(group({.address = at, .entries = 4, .group = 1}, 2), -EINVAL);
  EXPECT_EQ(no_group(1), -ENOENT);
  EXPECT_EQ(group({.address = at, .entries = 4, .group = 1}), 0);
  EXPECT_EQ(group({.address = at, .entries = 4, .group = 1}), -EEXIST);
  EXPECT_EQ(no_group(1), 0);
  ::munmap(memory, size);
}

TEST_P(Registrations, that_nobody_knows_are_refused) {
  COMPARED_WITH_LINUX_6_18;
  EXPECT_EQ(script.registers(200, nullptr, 0), -EINVAL);
  EXPECT_EQ(script.registers(uapi::register_enable_rings, nullptr, 0), -EBADFD);
}

}  // namespace
}  // namespace corering::conformance
