/// pipe_calls_rows.cpp — the operations of pipe_calls.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows pipe_calls_rows({
    {"PIPE",
     [](Stage& s) -> Outcome {
       const Result<PipeEnds> made = co_await async_pipe();
       if (!made) co_return made.error();
       EXPECT_EQ(sys::write(made->writer.get(), "ab", 2), 2);
       EXPECT_EQ(sys::read(made->reader.get(), s.buffer.data(), 8), 2);
       EXPECT_EQ(sys::fcntl(made->reader.get(), F_GETFD), FD_CLOEXEC);
       co_return fine;
     },
     [](Stage&) { return error_of(async_pipe(0x40000000)); }, std::errc::invalid_argument},
    {"SPLICE",
     [](Stage& s) -> Outcome {
       const Result<std::size_t> moved = co_await async_splice(s.file, 2, s.writer, current_position, 5);
       if (!moved) co_return moved.error();
       EXPECT_EQ(sys::read(s.reader.get(), s.buffer.data(), 8), 5);
       EXPECT_EQ(text_of(std::span(s.buffer).first(5)), "23456");
       co_return fine;
     },
     [](Stage& s) { return error_of(async_splice(s.file, 0, s.file, 0, 5)); }, std::errc::invalid_argument},
    {"TEE",
     [](Stage& s) -> Outcome {
       const Result<PipeEnds> other = co_await async_pipe();
       if (!other) co_return other.error();
       EXPECT_EQ(sys::write(s.writer.get(), "abc", 3), 3);
       const Result<std::size_t> copied = co_await async_tee(s.reader, other->writer, 3);
       if (!copied) co_return copied.error();
       EXPECT_EQ(sys::read(other->reader.get(), s.buffer.data(), 8), 3);
       EXPECT_EQ(sys::read(s.reader.get(), s.buffer.data(), 8), 3) << "still there";
       co_return fine;
     },
     [](Stage& s) { return error_of(async_tee(s.file, s.writer, 3)); }, std::errc::invalid_argument},
});

}  // namespace
}  // namespace corering::test
