/// file_calls_test.cpp — advice about more memory than 32 bits can count.
#include <sys/mman.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> drops_five_gigabytes(std::span<std::byte> memory) {
  memory.back() = std::byte{1};
  memory.front() = std::byte{1};
  const Result<void> dropped = co_await async_madvise(memory.data(), memory.size(), MADV_DONTNEED);
  EXPECT_TRUE(dropped) << dropped.error().message();
  EXPECT_EQ(memory.front(), std::byte{0});
  EXPECT_EQ(memory.back(), std::byte{0}) << "the length is not taken modulo 4 GiB";
}

TEST(Madvise, takes_more_than_four_gigabytes) {
  constexpr std::size_t length = (std::size_t{5} << 30) + 4096;
  void* const pages =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  run_on_a_worker_here(drops_five_gigabytes(std::span(static_cast<std::byte*>(pages), length)));
  ::munmap(pages, length);
}

}  // namespace
}  // namespace corering
