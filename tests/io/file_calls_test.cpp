/// file_calls_test.cpp — offsets that no file has, and advice about more memory than 32 bits can count.
#include <concepts>
#include <sys/mman.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> drops_five_gigabytes(std::span<std::byte> memory, bool& refused) {
  memory.back() = std::byte{1};
  memory.front() = std::byte{1};
  const Result<void> dropped = co_await async_madvise(memory.data(), memory.size(), MADV_DONTNEED);
  refused = !dropped;
  if (refused) {
    EXPECT_EQ(dropped.error(), std::errc::invalid_argument);
    EXPECT_EQ(memory.front(), std::byte{1}) << "what is refused is not done in part";
    co_return;
  }
  EXPECT_EQ(memory.front(), std::byte{0});
  EXPECT_EQ(memory.back(), std::byte{0}) << "the length is not taken modulo 4 GiB";
}

TEST(Madvise, takes_more_than_four_gigabytes) {
  constexpr std::size_t length = (std::size_t{5} << 30) + 4096;
  void* const pages =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  bool refused = false;
  run_on_a_worker_here(drops_five_gigabytes(std::span(static_cast<std::byte*>(pages), length), refused));
  ::munmap(pages, length);
  if (refused) GTEST_SKIP() << "an older kernel refuses 4 GiB and more, as documented";
}

/// A file with a position, and what can be moved to and from it.
struct Places {
  test::TemporaryDirectory directory;
  std::string path = directory / "file";
  Fd file;
  std::array<std::byte, 8> memory{};
  iovec part{.iov_base = memory.data(), .iov_len = memory.size()};
  Result<Pipe> pipe = Pipe::create();

  Places() {
    test::write_content(path, "0123456789");
    file = Fd(test::sys::open(path.c_str(), O_RDWR | O_CLOEXEC));
  }
};

using Refused = Task<std::error_code> (*)(Places&, std::uint64_t offset);
template <auto Operation>
Task<std::error_code> attempt(Places& p, std::uint64_t offset) {
  co_return co_await test::error_of(Operation(p, offset));
}
template <auto Operation>
Task<std::error_code> with_fixed(Places& p, std::uint64_t offset) {
  const Result<RegisteredBuffers> made = RegisteredBuffers::create({.count = 1, .size = 4096});
  FixedBuffer fixed = const_cast<RegisteredBuffers&>(*made).lend();
  co_return co_await test::error_of(Operation(p, fixed, offset));
}
template <auto Operation>
Task<std::error_code> with_pool(Places& p, std::uint64_t offset) {
  const Result<BufferPool> pool = BufferPool::create({.count = 2, .size = 64});
  co_return co_await test::error_of(Operation(p, *pool, offset));
}

struct TakesAnOffset {
  const char* name;
  Refused at;
};
const TakesAnOffset every_operation[] = {
    {"read", attempt<[](Places& p, std::uint64_t o) { return async_read(p.file, p.memory, o); }>},
    {"read_cached",
     attempt<[](Places& p, std::uint64_t o) { return async_read_cached(p.file, p.memory, o); }>},
    {"write", attempt<[](Places& p, std::uint64_t o) { return async_write(p.file, p.memory, o); }>},
    {"readv",
     attempt<[](Places& p, std::uint64_t o) { return async_readv(p.file, std::span(&p.part, 1), o); }>},
    {"writev",
     attempt<[](Places& p, std::uint64_t o) { return async_writev(p.file, std::span(&p.part, 1), o); }>},
    {"read_fixed", with_fixed<[](Places& p, FixedBuffer& b, std::uint64_t o) {
       return async_read(p.file, b.first(8), o);
     }>},
    {"write_fixed", with_fixed<[](Places& p, FixedBuffer& b, std::uint64_t o) {
       return async_write(p.file, b.first(8), o);
     }>},
    {"readv_fixed", with_fixed<[](Places& p, FixedBuffer& b, std::uint64_t o) {
       p.part = {.iov_base = b.bytes().data(), .iov_len = 8};
       return async_readv(p.file, b.all(), std::span(&p.part, 1), o);
     }>},
    {"writev_fixed", with_fixed<[](Places& p, FixedBuffer& b, std::uint64_t o) {
       p.part = {.iov_base = b.bytes().data(), .iov_len = 8};
       return async_writev(p.file, b.all(), std::span(&p.part, 1), o);
     }>},
    {"read into a pool", with_pool<[](Places& p, const BufferPool& pool, std::uint64_t o) {
       return async_read(p.file, pool, o);
     }>},
    {"splice out", attempt<[](Places& p, std::uint64_t o) {
       return async_splice(p.file, o, p.pipe->writer.fd(), current_position, 4);
     }>},
    {"splice in", attempt<[](Places& p, std::uint64_t o) {
       return async_splice(p.pipe->reader.fd(), current_position, p.file, o, 4);
     }>},
    {"sync_file_range",
     attempt<[](Places& p, std::uint64_t o) { return async_sync_file_range(p.file, o, 1, 0); }>},
    {"fallocate", attempt<[](Places& p, std::uint64_t o) { return async_fallocate(p.file, 0, o, 1); }>},
    {"ftruncate", attempt<[](Places& p, std::uint64_t o) { return async_ftruncate(p.file, o); }>},
};

Task<void> refuses(const TakesAnOffset& operation) {
  for (const std::uint64_t beyond : {~std::uint64_t{0}, ~std::uint64_t{0} - 1, std::uint64_t{1} << 63}) {
    Places places;
    EXPECT_EQ(test::sys::write(places.pipe->writer.fd().get(), "pipe", 4), 4);
    const std::error_code refused = co_await operation.at(places, beyond);
    EXPECT_EQ(refused, std::errc::invalid_argument)
        << operation.name << " at " << beyond << ": " << refused.message();
    EXPECT_EQ(test::content_of(places.path), "0123456789") << operation.name << " at " << beyond;
    EXPECT_EQ(test::sys::lseek(places.file.get(), 0, SEEK_CUR), 0) << operation.name << " at " << beyond;
  }
}

TEST(FileOffset, beyond_what_a_file_can_have_is_refused_by_every_operation) {
  for (const TakesAnOffset& operation : every_operation) run_on_a_worker_here(refuses(operation));
}

Task<void> refuses_in_a_file(OpenOptions options) {
  Places places;
  options.write = true;
  const Result<File> file = co_await File::open(places.path, options);
  EXPECT_TRUE(file) << file.error().message();
  if (!file) co_return;
  const AlignedBuffer buffer(4096);
  constexpr std::uint64_t beyond = ~std::uint64_t{0};
  const Result<std::size_t> read = co_await file->read_at(buffer.bytes(), beyond);
  EXPECT_EQ(read.error(), std::errc::invalid_argument);
  const Result<void> exact = co_await file->read_exact_at(buffer.bytes(), beyond);
  EXPECT_EQ(exact.error(), std::errc::invalid_argument);
  const Result<std::size_t> put = co_await file->write_at(buffer.bytes(), beyond);
  EXPECT_EQ(put.error(), std::errc::invalid_argument);
  const Result<void> all = co_await file->write_all_at(buffer.bytes(), beyond);
  EXPECT_EQ(all.error(), std::errc::invalid_argument);
  const Result<std::size_t> vectored = co_await file->readv_at(std::span(&places.part, 1), beyond);
  EXPECT_EQ(vectored.error(), std::errc::invalid_argument);
  const Result<std::size_t> written = co_await file->writev_at(std::span(&places.part, 1), beyond);
  EXPECT_EQ(written.error(), std::errc::invalid_argument);
  EXPECT_EQ(test::content_of(places.path), "0123456789");
}

TEST(FileOffset, beyond_what_a_file_can_have_is_refused_by_a_file) {
  run_on_a_worker_here(refuses_in_a_file(OpenOptions()));
  OpenOptions direct;
  direct.direct = true;
  run_on_a_worker_here(refuses_in_a_file(direct));
}

TEST(FileOffset, is_the_current_position_only_by_name) {
  EXPECT_EQ(FileOffset(5).sqe_field(), 5U);
  EXPECT_EQ(current_position.sqe_field(), ~std::uint64_t{0}) << "the kernel's mark";
  EXPECT_NE(FileOffset(~std::uint64_t{0}).sqe_field(), current_position.sqe_field());
  static_assert(!std::convertible_to<FileOffset, std::uint64_t>, "a sum with it would mean something else");
}

}  // namespace
}  // namespace corering
