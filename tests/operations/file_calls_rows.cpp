/// file_calls_rows.cpp — the operations of file_calls.hpp: that each works, and how it fails.
#include <sys/mman.h>

#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows file_calls_rows({
    {"READ",
     [](Stage& s) -> Outcome {
       const Result<std::size_t> got = co_await async_read(s.file, s.buffer, 7);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "789");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_read(-1, s.buffer, 0)); }, std::errc::bad_file_descriptor},
    {"WRITE",
     [](Stage& s) -> Outcome {
       const Result<std::size_t> put = co_await async_write(s.file, bytes_of("xy"), 0, RWF_APPEND);
       if (!put) co_return put.error();
       EXPECT_EQ(s.content(), "0123456789xy");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_write(s.read_only, bytes_of("x"), 0)); },
     std::errc::bad_file_descriptor},
    {"READV",
     [](Stage& s) -> Outcome {
       const std::array<iovec, 2> parts = {iovec{s.buffer.data(), 3}, iovec{s.buffer.data() + 8, 3}};
       const std::error_code read = co_await reads_vectors(s, async_readv(s.file, parts, 2));
       co_return read;
     },
     [](Stage& s) { return error_of(async_readv(s.ours(), {}, 7)); }, std::errc::invalid_seek},
    {"WRITEV",
     [](Stage& s) -> Outcome {
       const std::array<iovec, 2> parts = {iovec{const_cast<char*>("ab"), 2},
                                           iovec{const_cast<char*>("c"), 1}};
       const Result<std::size_t> put = co_await async_writev(s.file, parts, 1);
       if (!put) co_return put.error();
       EXPECT_EQ(s.content(), "0abc456789");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_writev(s.read_only, {}, 0)); }, std::errc::bad_file_descriptor},
    {"READ_FIXED",
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       const Result<std::size_t> got = co_await async_read(s.file, fixed.all().subspan(16), 8);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(fixed.bytes().subspan(16, *got)), "89");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       co_return co_await error_of(async_read(s.writer, fixed.all(), 0));
     },
     std::errc::bad_file_descriptor},
    {"WRITE_FIXED",
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       std::ranges::copy(bytes_of("fixed"), fixed.bytes().begin());
       const Result<std::size_t> put = co_await async_write(s.file, fixed.first(5), 0);
       if (!put) co_return put.error();
       EXPECT_EQ(s.content(), "fixed56789");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       co_return co_await error_of(async_write(s.read_only, fixed.all(), 0));
     },
     std::errc::bad_file_descriptor},
    {"READV_FIXED",
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       const std::array<iovec, 2> parts = {iovec{fixed.bytes().data(), 3},
                                           iovec{fixed.bytes().data() + 8, 3}};
       const Result<std::size_t> got = co_await async_readv(s.file, fixed.all(), parts, 2);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(fixed.bytes().first(3)), "234");
       EXPECT_EQ(text_of(fixed.bytes().subspan(8, 3)), "567");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       const std::array<iovec, 1> parts = {iovec{fixed.bytes().data(), 3}};
       co_return co_await error_of(async_readv(s.writer, fixed.all(), parts, 0));
     },
     std::errc::bad_file_descriptor},
    {"WRITEV_FIXED",
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       std::ranges::copy(bytes_of("ab--c"), fixed.bytes().begin());
       const std::array<iovec, 2> parts = {iovec{fixed.bytes().data(), 2},
                                           iovec{fixed.bytes().data() + 4, 1}};
       const Result<std::size_t> put = co_await async_writev(s.file, fixed.all(), parts, 0);
       if (!put) co_return put.error();
       EXPECT_EQ(s.content(), "abc3456789");
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       const FixedBuffer fixed = s.registered->lend();
       const std::array<iovec, 1> parts = {iovec{fixed.bytes().data(), 3}};
       co_return co_await error_of(async_writev(s.read_only, fixed.all(), parts, 0));
     },
     std::errc::bad_file_descriptor},
    {"READ (BUFFER_SELECT)",
     [](Stage& s) -> Outcome {
       const Result<LentBuffer> got = co_await async_read(s.file, *s.pool, 6);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(got->bytes()), "6789");
       EXPECT_EQ(s.pool->lent(), 1U);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_read(-1, *s.pool, 0)); }, std::errc::bad_file_descriptor},
    {"FSYNC", [](Stage& s) { return error_of(async_fsync(s.file)); },
     [](Stage& s) { return error_of(async_fsync(s.ours())); }, std::errc::invalid_argument},
    {"SYNC_FILE_RANGE",
     [](Stage& s) { return error_of(async_sync_file_range(s.file, 0, 10, SYNC_FILE_RANGE_WRITE)); },
     [](Stage& s) { return error_of(async_sync_file_range(s.reader, 0, 0, SYNC_FILE_RANGE_WRITE)); },
     std::errc::invalid_seek},
    {"FALLOCATE",
     [](Stage& s) -> Outcome {
       const Result<void> grown = co_await async_fallocate(s.file, 0, 0, 5000);
       if (!grown) co_return grown.error();
       EXPECT_EQ(s.content().size(), 5000U);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_fallocate(s.read_only, 0, 0, 1)); },
     std::errc::bad_file_descriptor},
    {"FTRUNCATE",
     [](Stage& s) -> Outcome {
       const Result<void> cut = co_await async_ftruncate(s.file, 3);
       if (!cut) co_return cut.error();
       EXPECT_EQ(s.content(), "012");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_ftruncate(s.read_only, 3)); }, std::errc::invalid_argument},
    {"FADVISE", [](Stage& s) { return error_of(async_fadvise(s.file, 0, 0, POSIX_FADV_SEQUENTIAL)); },
     [](Stage& s) { return error_of(async_fadvise(s.reader, 0, 0, POSIX_FADV_SEQUENTIAL)); },
     std::errc::invalid_seek},
    {"MADVISE",
     [](Stage&) -> Outcome {
       void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       *static_cast<char*>(page) = 'x';
       const Result<void> dropped = co_await async_madvise(page, 4096, MADV_DONTNEED);
       EXPECT_EQ(*static_cast<char*>(page), 0);
       ::munmap(page, 4096);
       co_return dropped ? fine : dropped.error();
     },
     [](Stage& s) { return error_of(async_madvise(s.buffer.data() + 1, 1, MADV_DONTNEED)); },
     std::errc::invalid_argument},
    {"CLOSE",
     [](Stage& s) -> Outcome {
       const int number = s.reader.get();
       const Result<void> closed = co_await async_close(std::move(s.reader));
       EXPECT_LT(sys::fcntl(number, F_GETFD), 0);
       co_return closed ? fine : closed.error();
     },
     [](Stage&) { return error_of(async_close(Fd(9999))); }, std::errc::bad_file_descriptor},
    {"CLOSE (direct)",
     [](Stage& s) -> Outcome {
       Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
       if (!file) co_return file.error();
       const Result<void> closed = co_await async_close(std::move(*file));
       EXPECT_EQ(s.table->used(), 0U);
       co_return closed ? fine : closed.error();
     },
     [](Stage& s) -> Outcome {  // the slot is taken away without its knowledge
       Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
       if (!file) co_return file.error();
       std::int32_t nothing = -1;
       uapi::RsrcUpdate update{.offset = file->slot(), .data = reinterpret_cast<std::uintptr_t>(&nothing)};
       EXPECT_EQ(here::register_resource(uapi::register_files_update, &update, 1), 1);
       co_return co_await error_of(async_close(std::move(*file)));
     },
     std::errc::bad_file_descriptor},
    {"FILES_UPDATE",
     [](Stage& s) -> Outcome {
       const Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
       if (!file) co_return file.error();
       const Result<std::size_t> got = co_await async_read(*file, s.buffer, 8);
       if (!got) co_return got.error();
       EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "89");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_install(*s.table, 9999)); }, std::errc::bad_file_descriptor},
    {"FIXED_FD_INSTALL",
     [](Stage& s) -> Outcome {
       const Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
       if (!file) co_return file.error();
       const Result<Fd> back = co_await async_fixed_fd_install(*file);
       if (!back) co_return back.error();
       EXPECT_EQ(sys::fcntl(back->get(), F_GETFD), FD_CLOEXEC);
       EXPECT_EQ(sys::pread(back->get(), s.buffer.data(), 2, 4), 2);
       co_return fine;
     },
     [](Stage&) { return error_of(async_fixed_fd_install(FixedFile())); }, std::errc::bad_file_descriptor,
     Opcode::fixed_fd_install},
});

}  // namespace
}  // namespace corering::test
