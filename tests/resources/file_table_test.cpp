/// file_table_test.cpp — slots of the table of files.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::error_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> uses_no_file() {
  Result<FileTable> table = FileTable::create(2);
  const Fd zero(test::sys::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Result<FixedFile> first = co_await async_install(*table, zero.get());
  EXPECT_TRUE(first && first->slot() == 0);
  std::array<std::byte, 4> buffer{};
  const FixedFile nothing;
  const std::error_code read = co_await error_of(async_read(nothing, buffer, 0));
  EXPECT_EQ(read, std::errc::bad_file_descriptor) << "it is not slot 0";
  FixedFile moved = std::move(*first);
  const std::error_code closed = co_await error_of(async_close(std::move(*first)));
  EXPECT_EQ(closed, std::errc::bad_file_descriptor);
  EXPECT_EQ(table->used(), 1U);
  const std::error_code still = co_await error_of(async_read(moved, buffer, 0));
  EXPECT_FALSE(still);
}

TEST(FixedFile, that_is_empty_names_no_slot) { run_on_a_worker_here(uses_no_file()); }

Task<void> fills_the_table(const test::Listener& listener) {
  Result<FileTable> table = FileTable::create(1);
  EXPECT_TRUE(table);
  if (!table) co_return;
  {
    const Result<FixedFile> one = co_await async_socket(*table, AF_INET, SOCK_STREAM);
    EXPECT_TRUE(one);
    const std::error_code full = co_await error_of(async_socket(*table, AF_INET, SOCK_STREAM));
    EXPECT_EQ(full, std::errc::too_many_files_open_in_system);
    if (one) {
      const Result<void> connected = co_await async_connect(*one, listener.get(), sizeof listener.address);
      EXPECT_TRUE(connected) << connected.error().message();
    }
  }
  EXPECT_EQ(table->used(), 0U);
  const Result<FixedFile> again = co_await async_socket(*table, AF_INET, SOCK_STREAM);
  EXPECT_TRUE(again) << "the slot is free again";
}

TEST(FileTable, says_when_it_is_full_and_gives_slots_back) {
  const test::Listener listener;
  run_on_a_worker_here(fills_the_table(listener));
}

}  // namespace
}  // namespace corering
