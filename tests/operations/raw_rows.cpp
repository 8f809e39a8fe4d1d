/// raw_rows.cpp — the operations of raw.hpp: that each works, and how it fails.
#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows raw_rows({
    {"URING_CMD",
     [](Stage& s) -> Outcome {  // on sockets, which have such commands
       const Fd client = s.connects();
       const Result<Fd> served = co_await async_accept(s.listener.fd);
       if (!served) co_return served.error();
       EXPECT_EQ(sys::send(client.get(), "12345", 5, 0), 5);
       const Result<Reply> waiting = co_await async_uring_cmd(*served, uapi::socket_siocinq);
       if (!here::capabilities().has(Feature::socket_options) && !waiting) {
         // Before Linux 6.7 a socket may have no command. Then the refusal is all that can be seen here.
         EXPECT_EQ(waiting.error(), std::errc::operation_not_supported);
         co_return fine;
       }
       if (!waiting) co_return waiting.error();
       EXPECT_EQ(waiting->res, 5);
       co_return fine;
     },
     [](Stage& s) { return error_of(async_uring_cmd(s.reader, 0)); }, std::errc::operation_not_supported},
    {"any",
     [](Stage& s) -> Outcome {
       Sqe sqe;
       sqe.opcode = static_cast<std::uint8_t>(Opcode::read);
       sqe.fd = s.file.get();
       sqe.addr = reinterpret_cast<std::uintptr_t>(s.buffer.data());
       sqe.len = 4;
       const Result<Reply> raw = co_await async_raw(sqe);
       if (!raw) co_return raw.error();
       EXPECT_EQ(raw->res, 4);
       EXPECT_EQ(text_of(std::span(s.buffer).first(4)), "0123");
       co_return fine;
     },
     [](Stage&) {
       Sqe sqe;
       sqe.opcode = 250;
       return error_of(async_raw(sqe));
     },
     std::errc::invalid_argument},
});

}  // namespace
}  // namespace corering::test
