/// messages_rows.cpp — the operations of messages.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows messages_rows({
    {"MSG_RING",
     [](Stage&) -> Outcome {
       NumberInbox inbox;
       const Result<void> sent = co_await async_msg_ring(inbox.address(), 42);
       if (!sent) co_return sent.error();
       const Result<std::int32_t> got = co_await inbox.receive();
       if (!got) co_return got.error();
       EXPECT_EQ(*got, 42);
       co_return fine;
     },
     [](Stage&) { return error_of(async_msg_ring(InboxAddress{}, 42)); }, std::errc::bad_file_descriptor},
    {"MSG_RING (SEND_FD)",
     [](Stage& s) -> Outcome {
       test::RunningWorker other;
       const auto over_there = [](Stage& stage, Worker& home) -> Task<std::error_code> {
         Result<FileTable> table = FileTable::create(2);
         if (!table) co_return table.error();
         FileInbox inbox(*table);
         const auto sends = [](Stage& its, InboxAddress to) -> Task<std::error_code> {
           const Result<FixedFile> file = co_await async_install(*its.table, its.file.get());
           if (!file) co_return file.error();
           const Result<void> sent = co_await async_msg_ring(to, *file);
           co_return sent ? fine : sent.error();
         };
         auto sending = home.spawn(sends(stage, inbox.address()));
         if (!sending) co_return sending.error();
         const std::error_code sent = co_await std::move(*sending);
         if (sent) co_return sent;
         const Result<FixedFile> got = co_await inbox.receive();
         if (!got) co_return got.error();
         std::array<std::byte, 4> some{};
         const Result<std::size_t> read = co_await async_read(*got, some, 6);
         if (!read) co_return read.error();
         EXPECT_EQ(text_of(some), "6789");
         co_return fine;
       };
       auto there = other.worker.spawn(over_there(s, *Worker::current()));
       co_return co_await std::move(*there);
     },
     [](Stage& s) -> Outcome {
       const Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
       if (!file) co_return file.error();
       co_return co_await error_of(async_msg_ring(InboxAddress{}, *file));
     },
     std::errc::bad_file_descriptor},
});

}  // namespace
}  // namespace corering::test
