/// unix_test.cpp — Unix sockets, and the descriptors that they carry.
#include <fstream>

#include "support/story.hpp"
#include "support/streaming.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> passes_descriptors(std::string path) {
  Result<UnixStream> ours = failure(EIO);
  const Address address = Address::unix_path(path).value();
  Result<UnixListener> listener = UnixListener::bind(address);
  EXPECT_TRUE(listener) << listener.error().message();
  if (!listener) co_return;
  EXPECT_EQ(UnixListener::bind(address).error(), std::errc::address_in_use) << "somebody listens there";
  Result<UnixStream> client = co_await UnixStream::connect(address);
  Result<UnixStream> server = co_await listener->accept();
  EXPECT_TRUE(client && server);
  if (!client || !server) co_return;
  Result<Pipe> pipe = Pipe::create();
  const std::array<int, 2> fds = {pipe->writer.fd().get(), 0};
  const Result<std::size_t> sent = co_await client->send_fds(bytes_of("two"), fds);
  EXPECT_EQ(sent, 3U);
  std::array<std::byte, 16> buffer{};
  const Result<ReceivedFds> got = co_await server->recv_fds(buffer);
  EXPECT_TRUE(got);
  if (!got) co_return;
  EXPECT_EQ(got->bytes, 3U);
  EXPECT_EQ(got->fds.size(), 2U);
  EXPECT_FALSE(got->truncated);
  if (got->fds.size() != 2) co_return;
  EXPECT_EQ(test::sys::fcntl(got->fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(test::sys::write(got->fds[0].get(), "through", 7), 7);
  const Result<std::size_t> through = co_await pipe->reader.read(buffer);
  EXPECT_EQ(through, 7U);

  // The kernel closes the descriptors beyond the number that was asked for, although there would be room for
  // one more.
  const Result<std::size_t> both = co_await client->send_fds(bytes_of("y"), fds);
  EXPECT_EQ(both, 1U);
  const Result<ReceivedFds> one = co_await server->recv_fds(buffer, 1);
  EXPECT_TRUE(one && one->fds.size() == 1 && one->truncated);
  // The kernel closes descriptors for which there is no room, and nothing else is lost.
  const Result<std::size_t> more = co_await client->send_fds(bytes_of("x"), fds);
  EXPECT_EQ(more, 1U);
  const Result<ReceivedFds> none = co_await server->recv_fds(buffer, 0);
  EXPECT_TRUE(none && none->bytes == 1 && none->fds.empty() && none->truncated);
  const Result<std::size_t> empty = co_await client->send_fds({}, fds);
  EXPECT_EQ(empty.error(), std::errc::invalid_argument);
}

TEST(Unix, passes_descriptors) {
  test::TemporaryDirectory directory;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(passes_descriptors(directory / "socket"));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

Task<void> receives_without_a_free_descriptor() {
  auto both = UnixStream::pair();
  const std::array<int, 3> fds = {0, 0, 0};
  std::array<std::byte, 16> buffer{};
  const Result<std::size_t> sent = co_await both->first.send_fds(bytes_of("x"), fds);
  EXPECT_EQ(sent, 1U);
  const int next = Fd(test::sys::dup(0)).get();
  {
    const test::DescriptorLimit only_one(static_cast<rlim_t>(next) + 1);
    const Result<ReceivedFds> cut = co_await both->second.recv_fds(buffer);
    EXPECT_EQ(cut.error(), std::errc::too_many_files_open);
  }
  EXPECT_EQ(Fd(test::sys::dup(0)).get(), next) << "the one that came has been closed";
  const Result<std::size_t> again = co_await both->first.send_fds(bytes_of("y"), fds);
  EXPECT_EQ(again, 1U);
  const Result<ReceivedFds> no_room = co_await both->second.recv_fds({});
  EXPECT_EQ(no_room.error(), std::errc::invalid_argument) << "0 bytes would look like the end";
  const Result<ReceivedFds> whole = co_await both->second.recv_fds(buffer);
  EXPECT_TRUE(whole && whole->bytes == 1 && whole->fds.size() == 3 && !whole->truncated);
}

TEST(Unix, says_when_descriptors_could_not_be_received) {
  run_on_a_worker_here(receives_without_a_free_descriptor());
}

TEST(Unix, binds_over_a_socket_that_nobody_listens_at) {
  test::TemporaryDirectory directory;
  const Address address = Address::unix_path(directory / "socket").value();
  {
    const auto first = UnixListener::bind(address);
  }
  EXPECT_TRUE(UnixListener::bind(address)) << "the file was left behind";
  test::write_content(directory / "file", "precious");
  const Address file = Address::unix_path(directory / "file").value();
  EXPECT_EQ(UnixListener::bind(file).error(), std::errc::address_in_use);
  EXPECT_TRUE(std::filesystem::is_regular_file(directory / "file")) << "a file is no socket";
}
Task<void> unix_datagrams(std::string path) {
  const Address address = Address::unix_path(path).value();
  const Result<UnixDatagram> receiver = UnixDatagram::bind(address);
  const Result<UnixDatagram> sender = UnixDatagram::unbound();
  EXPECT_TRUE(receiver && sender);
  if (!receiver || !sender) co_return;
  const Result<std::size_t> sent = co_await sender->send_to(bytes_of("hi"), address);
  EXPECT_EQ(sent, 2U);
  std::array<std::byte, 16> buffer{};
  const Result<ReceivedDatagram> got = co_await receiver->receive_from(buffer);
  EXPECT_TRUE(got && got->bytes == 2);
}

TEST(Unix, carries_datagrams) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(unix_datagrams(directory / "socket"));
  run_on_a_worker_here(unix_datagrams("@corering-test-" + std::to_string(::getpid())));
}
Task<void> pairs() {
  auto both = UnixStream::pair();
  EXPECT_TRUE(both);
  if (!both) co_return;
  const Result<void> sent = co_await both->first.write_all(bytes_of("pair"));
  EXPECT_TRUE(sent);
  std::array<std::byte, 16> buffer{};
  const Result<std::size_t> got = co_await both->second.read(buffer);
  EXPECT_EQ(got, 4U);
}

TEST(Unix, comes_in_pairs) { run_on_a_worker_here(pairs()); }

}  // namespace
}  // namespace corering
