/// streams_rows.cpp — the operations of streams.hpp: that each works, and how it fails.
#include <poll.h>

#include "operations/rows.hpp"

namespace corering::test {
namespace {

const OperationRows streams_rows({
    {"ACCEPT (MULTISHOT)",
     [](Stage& s) -> Outcome {
       AcceptStream connections(s.listener.fd);
       for (int i = 0; i < 3; ++i) {
         const Fd client = s.connects();
         const Result<Fd> got = co_await connections.next();
         if (!got) co_return got.error();
         EXPECT_EQ(sys::fcntl(got->get(), F_GETFD), FD_CLOEXEC);
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       AcceptStream none(s.ours());
       co_return co_await error_of(none.next());
     },
     std::errc::invalid_argument},
    {"ACCEPT (MULTISHOT, direct)",
     [](Stage& s) -> Outcome {
       FixedAcceptStream connections(*s.table, s.listener.fd);
       for (int i = 0; i < 6; ++i) {  // more than there are slots, because slots are given back
         const Fd client = s.connects();
         const Result<FixedFile> got = co_await connections.next();
         if (!got) co_return got.error();
         EXPECT_EQ(s.table->used(), 1U);
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       FixedAcceptStream none(*s.table, s.ours());
       co_return co_await error_of(none.next());
     },
     std::errc::invalid_argument},
    {"RECV (MULTISHOT)",
     [](Stage& s) -> Outcome {
       RecvStream stream(s.ours(), *s.pool);
       for (const char* const text : {"one", "two", "three", "four", "five", "six"}) {
         s.sends(text);
         const std::error_code got = co_await gets_a_piece(stream, text);
         if (got) co_return got;
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       RecvStream none(s.file, *s.pool);
       co_return co_await error_of(none.next());
     },
     std::errc::not_a_socket},
    {"READ_MULTISHOT",
     [](Stage& s) -> Outcome {
       ReadStream stream(s.reader, *s.pool);
       for (const char* const text : {"one", "two", "three", "four", "five", "six"}) {
         EXPECT_GT(sys::write(s.writer.get(), text, std::strlen(text)), 0);
         const std::error_code got = co_await gets_a_piece(stream, text);
         if (got) co_return got;
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       ReadStream none(s.writer, *s.pool);
       co_return co_await error_of(none.next());
     },
     std::errc::bad_file_descriptor},
    {"RECVMSG (MULTISHOT)",
     [](Stage& s) -> Outcome {
       const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
       const Fd socket(sys::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
       EXPECT_EQ(sys::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
       sockaddr_in address{};
       socklen_t length = sizeof address;
       EXPECT_EQ(sys::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
       EXPECT_EQ(sys::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
       Result<BufferPool> pieces = BufferPool::create({.count = 2, .size = 512, .incremental = true});
       if (pieces && pieces->is_incremental()) {
         RecvmsgStream wrong(socket, *pieces);
         const std::error_code refused = co_await error_of(wrong.next());
         EXPECT_EQ(refused, std::errc::invalid_argument);
       }
       RecvmsgStream stream(socket, *s.pool);
       for (const std::string_view text : {"one", "", "three", "four", "five", "six"}) {
         EXPECT_EQ(sys::send(socket.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
         const Result<Datagram> got = co_await stream.next();
         if (!got) co_return got.error();
         EXPECT_EQ(text_of(got->bytes()), text);
         EXPECT_EQ(got->from_length(), length);
         EXPECT_EQ(reinterpret_cast<const sockaddr_in*>(got->from())->sin_port, address.sin_port);
       }
       co_return fine;
     },
     [](Stage& s) -> Outcome {
       RecvmsgStream none(s.file, *s.pool);
       co_return co_await error_of(none.next());
     },
     std::errc::not_a_socket},
    {"POLL_ADD (MULTI)",
     [](Stage& s) -> Outcome {
       PollStream stream(s.ours(), POLLIN);
       for (int i = 0; i < 3; ++i) {
         s.sends("x");
         const Result<unsigned> ready = co_await stream.next();
         if (!ready) co_return ready.error();
         EXPECT_TRUE(*ready & POLLIN);
       }
       co_return fine;
     },
     [](Stage&) -> Outcome {
       PollStream none(9999, POLLIN);
       co_return co_await error_of(none.next());
     },
     std::errc::bad_file_descriptor},
    {"TIMEOUT (MULTISHOT)",
     [](Stage&) -> Outcome {
       const TimePoint begin = os::now();
       TimeoutStream ticks(std::chrono::milliseconds(2));
       for (int i = 0; i < 3; ++i) {
         const Result<void> tick = co_await ticks.next();
         if (!tick) co_return tick.error();
       }
       EXPECT_GE(os::now() - begin, std::chrono::milliseconds(6));
       co_return fine;
     },
     [](Stage&) -> Outcome {
       TimeoutStream none(Duration::zero());
       co_return co_await error_of(none.next());
     },
     std::errc::invalid_argument},
});

}  // namespace
}  // namespace corering::test
