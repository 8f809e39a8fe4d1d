/// operations_test.cpp — every operation for real: that it does what it says, and how it fails.
///
/// A row per row of docs/OPERATIONS.md. CTest runs this program as it is, and again for each thing that
/// CORERING_MASK can hide: then a row must work by its fallback, or say which kernel it needs.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <linux/futex.h>
#include <poll.h>
#include <set>
#include <sstream>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <thread>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::text_of;
using Outcome = Task<std::error_code>;
using test::error_of;

const std::error_code fine;

/// What the operations work on. Lives on the worker.
struct Stage {
  test::TemporaryDirectory directory;
  std::string path = directory / "file";
  std::string none = directory / "none";
  Fd file, read_only, reader, writer;
  test::SocketPair pair;
  test::Listener listener;
  std::array<std::byte, 64> buffer{};
  Result<FileTable> table = FileTable::create(4);
  Result<RegisteredBuffers> registered = RegisteredBuffers::create({.count = 2, .size = 4096});
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 256});

  Stage() {
    std::ofstream(path) << "0123456789";
    file = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    read_only = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<int, 2> fds{};
    EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    reader = Fd(fds[0]);
    writer = Fd(fds[1]);
  }

  [[nodiscard]] int ours() const { return pair.ours.get(); }
  [[nodiscard]] int theirs() const { return pair.theirs.get(); }
  [[nodiscard]] std::string content() const {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] std::string received() const {
    std::array<char, 256> got{};
    const ssize_t length = ::recv(theirs(), got.data(), got.size(), MSG_DONTWAIT);
    return {got.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  }
  void sends(std::string_view text) const {
    EXPECT_EQ(::write(theirs(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] Fd connects() const {
    Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), listener.get(), sizeof listener.address), 0);
    return client;
  }
  [[nodiscard]] bool exists(const char* name) const { return std::filesystem::exists(directory / name); }
};

struct Row {
  const char* name;  ///< as in docs/OPERATIONS.md
  std::function<Outcome(Stage&)> works;
  std::function<Outcome(Stage&)> fails;
  std::errc expected;
  std::optional<Need> need = std::nullopt;  ///< of those that nothing stands in for
};

// ---- helpers for those that need more than a line ----

/// The operation as it is in a scope that is cancelled already.
template <class Operation>
Outcome refused(Operation operation) {
  std::stop_source stopped;
  stopped.request_stop();
  co_return co_await with_stop_token(stopped.get_token(), error_of(std::move(operation)));
}

template <class Operation>
Outcome holds_tag(Operation operation, OperationTag& tag) {
  const auto result = co_await operation.tagged(tag);
  co_return result ? fine : result.error();
}

/// Something that is in flight under a tag, while `act` is done to it; what became of it.
template <class Operation, class Act>
Outcome while_in_flight(Operation operation, Act act, std::error_code& of_the_operation) {
  OperationTag tag;
  JoinHandle<std::error_code> waiting = spawn(holds_tag(std::move(operation), tag));
  (void)co_await async_nop();
  const std::error_code acted = co_await act(tag);
  of_the_operation = co_await std::move(waiting);
  co_return acted;
}

Outcome reads_vectors(Stage& s, auto operation) {
  const Result<std::size_t> got = co_await operation;
  if (!got) co_return got.error();
  EXPECT_EQ(*got, 6U);
  EXPECT_EQ(text_of(std::span(s.buffer).first(3)), "234");
  EXPECT_EQ(text_of(std::span(s.buffer).subspan(8, 3)), "567");
  co_return fine;
}

Outcome zero_copy(Stage& s, auto operation) {
  const Result<ZeroCopySend> sent = co_await operation;
  if (!sent) co_return sent.error();
  EXPECT_EQ(sent->bytes, 4U);
  EXPECT_EQ(s.received(), "zero");
  co_return fine;
}

Outcome gets_a_piece(auto& stream, std::string_view expected) {
  const Result<LentBuffer> piece = co_await stream.next();
  if (!piece) co_return piece.error();
  EXPECT_EQ(text_of(piece->bytes()), expected);
  co_return fine;
}

Outcome opens_directly(Stage& s, auto operation) {
  const Result<FixedFile> opened = co_await operation;
  if (!opened) co_return opened.error();
  EXPECT_EQ(s.table->used(), 1U);
  const Result<std::size_t> got = co_await async_read(*opened, s.buffer, 0);
  if (!got) co_return got.error();
  EXPECT_EQ(*got, 10U);
  co_return fine;
}

const open_how beneath{.flags = O_RDONLY, .mode = 0, .resolve = RESOLVE_BENEATH};

// ---- the rows ----

std::vector<Row> file_rows() {
  return {
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
         EXPECT_LT(::fcntl(number, F_GETFD), 0);
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
       [](Stage& s) -> Outcome {  // taken away behind its back
         Result<FixedFile> file = co_await async_install(*s.table, s.file.get());
         if (!file) co_return file.error();
         std::int32_t nothing = -1;
         abi::RsrcUpdate update{.offset = file->slot(), .data = reinterpret_cast<std::uintptr_t>(&nothing)};
         EXPECT_EQ(here::register_resource(abi::register_files_update, &update, 1), 1);
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
         EXPECT_EQ(::fcntl(back->get(), F_GETFD), FD_CLOEXEC);
         EXPECT_EQ(::pread(back->get(), s.buffer.data(), 2, 4), 2);
         co_return fine;
       },
       [](Stage&) { return error_of(async_fixed_fd_install(FixedFile())); }, std::errc::bad_file_descriptor,
       Opcode::fixed_fd_install},
  };
}

std::vector<Row> path_rows() {
  return {
      {"OPENAT",
       [](Stage& s) -> Outcome {
         const Result<Fd> opened = co_await async_openat(AT_FDCWD, s.path.c_str(), O_RDONLY);
         if (!opened) co_return opened.error();
         EXPECT_EQ(::fcntl(opened->get(), F_GETFD), FD_CLOEXEC);
         co_return fine;
       },
       [](Stage& s) { return error_of(async_openat(AT_FDCWD, s.none.c_str(), O_RDONLY)); },
       std::errc::no_such_file_or_directory},
      {"OPENAT (direct)",
       [](Stage& s) { return opens_directly(s, async_openat(*s.table, AT_FDCWD, s.path.c_str(), O_RDONLY)); },
       [](Stage& s) { return error_of(async_openat(*s.table, AT_FDCWD, s.none.c_str(), O_RDONLY)); },
       std::errc::no_such_file_or_directory},
      {"OPENAT2",
       [](Stage& s) -> Outcome {
         const Fd top(::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
         co_return co_await error_of(async_openat2(top.get(), "file", beneath));
       },
       [](Stage& s) -> Outcome {
         const Fd top(::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
         co_return co_await error_of(async_openat2(top.get(), "../..", beneath));
       },
       std::errc::cross_device_link},
      {"OPENAT2 (direct)",
       [](Stage& s) -> Outcome {
         const Fd top(::open((s.directory / "").c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
         co_return co_await opens_directly(s, async_openat2(*s.table, top.get(), "file", beneath));
       },
       [](Stage& s) { return error_of(async_openat2(*s.table, AT_FDCWD, s.none.c_str(), open_how{})); },
       std::errc::no_such_file_or_directory},
      {"STATX",
       [](Stage& s) -> Outcome {
         struct statx status{};
         const Result<void> known = co_await async_statx(AT_FDCWD, s.path.c_str(), 0, STATX_SIZE, status);
         if (!known) co_return known.error();
         EXPECT_EQ(status.stx_size, 10U);
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         struct statx status{};
         co_return co_await error_of(async_statx(AT_FDCWD, s.none.c_str(), 0, STATX_SIZE, status));
       },
       std::errc::no_such_file_or_directory},
      {"UNLINKAT",
       [](Stage& s) -> Outcome {
         const Result<void> gone = co_await async_unlinkat(AT_FDCWD, s.path.c_str());
         EXPECT_FALSE(s.exists("file"));
         co_return gone ? fine : gone.error();
       },
       [](Stage& s) { return error_of(async_unlinkat(AT_FDCWD, s.none.c_str())); },
       std::errc::no_such_file_or_directory},
      {"RENAMEAT",
       [](Stage& s) -> Outcome {
         const Result<void> moved =
             co_await async_renameat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.none.c_str(), RENAME_NOREPLACE);
         EXPECT_TRUE(s.exists("none"));
         co_return moved ? fine : moved.error();
       },
       [](Stage& s) {
         return error_of(
             async_renameat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.path.c_str(), RENAME_NOREPLACE));
       },
       std::errc::file_exists},
      {"MKDIRAT",
       [](Stage& s) -> Outcome {
         const Result<void> made = co_await async_mkdirat(AT_FDCWD, s.none.c_str(), 0700);
         EXPECT_TRUE(std::filesystem::is_directory(s.none));
         co_return made ? fine : made.error();
       },
       [](Stage& s) { return error_of(async_mkdirat(AT_FDCWD, s.path.c_str(), 0700)); },
       std::errc::file_exists},
      {"SYMLINKAT",
       [](Stage& s) -> Outcome {
         const Result<void> made = co_await async_symlinkat("file", AT_FDCWD, s.none.c_str());
         EXPECT_EQ(std::filesystem::read_symlink(s.none), "file");
         co_return made ? fine : made.error();
       },
       [](Stage& s) { return error_of(async_symlinkat("x", AT_FDCWD, s.path.c_str())); },
       std::errc::file_exists},
      {"LINKAT",
       [](Stage& s) -> Outcome {
         const Result<void> made = co_await async_linkat(AT_FDCWD, s.path.c_str(), AT_FDCWD, s.none.c_str());
         EXPECT_EQ(std::filesystem::hard_link_count(s.path), 2U);
         co_return made ? fine : made.error();
       },
       [](Stage& s) { return error_of(async_linkat(AT_FDCWD, s.none.c_str(), AT_FDCWD, s.path.c_str())); },
       std::errc::no_such_file_or_directory},
      {"FSETXATTR",
       [](Stage& s) -> Outcome {
         const Result<void> set = co_await async_fsetxattr(s.file.get(), "user.a", bytes_of("value"));
         std::array<char, 8> value{};
         EXPECT_EQ(::getxattr(s.path.c_str(), "user.a", value.data(), value.size()), 5);
         co_return set ? fine : set.error();
       },
       [](Stage& s) {
         return error_of(async_fsetxattr(s.file.get(), "user.a", bytes_of("v"), XATTR_REPLACE));
       },
       std::errc::no_message_available},
      {"SETXATTR",
       [](Stage& s) -> Outcome {
         const Result<void> set = co_await async_setxattr(s.path.c_str(), "user.b", bytes_of("value"));
         std::array<char, 8> value{};
         EXPECT_EQ(::getxattr(s.path.c_str(), "user.b", value.data(), value.size()), 5);
         co_return set ? fine : set.error();
       },
       [](Stage& s) { return error_of(async_setxattr(s.none.c_str(), "user.a", bytes_of("v"))); },
       std::errc::no_such_file_or_directory},
      {"FGETXATTR",
       [](Stage& s) -> Outcome {
         EXPECT_EQ(::setxattr(s.path.c_str(), "user.c", "value", 5, 0), 0);
         const Result<std::size_t> size = co_await async_fgetxattr(s.file.get(), "user.c", s.buffer);
         if (!size) co_return size.error();
         EXPECT_EQ(text_of(std::span(s.buffer).first(*size)), "value");
         co_return fine;
       },
       [](Stage& s) { return error_of(async_fgetxattr(s.file.get(), "user.none", s.buffer)); },
       std::errc::no_message_available},
      {"GETXATTR",
       [](Stage& s) -> Outcome {
         EXPECT_EQ(::setxattr(s.path.c_str(), "user.d", "value", 5, 0), 0);
         const Result<std::size_t> size = co_await async_getxattr(s.path.c_str(), "user.d", {});
         if (!size) co_return size.error();
         EXPECT_EQ(*size, 5U);
         co_return fine;
       },
       [](Stage& s) { return error_of(async_getxattr(s.none.c_str(), "user.d", s.buffer)); },
       std::errc::no_such_file_or_directory},
  };
}

std::vector<Row> socket_rows() {
  return {
      {"SOCKET", [](Stage&) { return error_of(async_socket(AF_INET, SOCK_STREAM)); },
       [](Stage&) { return error_of(async_socket(12345, SOCK_STREAM)); },
       std::errc::address_family_not_supported},
      {"SOCKET (direct)", [](Stage& s) { return error_of(async_socket(*s.table, AF_INET, SOCK_STREAM)); },
       [](Stage& s) { return error_of(async_socket(*s.table, AF_INET, 999)); }, std::errc::invalid_argument},
      {"BIND",
       [](Stage&) -> Outcome {
         const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
         const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
         co_return co_await error_of(async_bind(socket, reinterpret_cast<const sockaddr*>(&any), sizeof any));
       },
       [](Stage& s) -> Outcome {
         const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
         co_return co_await error_of(async_bind(socket, s.listener.get(), sizeof s.listener.address));
       },
       std::errc::address_in_use},
      {"LISTEN",
       [](Stage&) -> Outcome {
         const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
         co_return co_await error_of(async_listen(socket, 8));
       },
       [](Stage& s) { return error_of(async_listen(s.file, 8)); }, std::errc::not_a_socket},
      {"ACCEPT",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         sockaddr_in peer{};
         socklen_t length = sizeof peer;
         const Result<Fd> got =
             co_await async_accept(s.listener.fd, reinterpret_cast<sockaddr*>(&peer), &length);
         if (!got) co_return got.error();
         EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
         EXPECT_EQ(::fcntl(got->get(), F_GETFD), FD_CLOEXEC);
         co_return fine;
       },
       [](Stage& s) { return error_of(async_accept(s.ours())); }, std::errc::invalid_argument},
      {"ACCEPT (direct)",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         const Result<FixedFile> got = co_await async_accept(*s.table, s.listener.fd);
         if (!got) co_return got.error();
         EXPECT_EQ(::send(client.get(), "hi", 2, 0), 2);
         const Result<std::size_t> heard = co_await async_recv(*got, s.buffer);
         if (!heard) co_return heard.error();
         EXPECT_EQ(text_of(std::span(s.buffer).first(*heard)), "hi");
         co_return fine;
       },
       [](Stage& s) { return error_of(async_accept(*s.table, s.ours())); }, std::errc::invalid_argument},
      {"ACCEPT (DONTWAIT)",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         co_return co_await error_of(async_accept_now(s.listener.fd));
       },
       [](Stage& s) { return error_of(async_accept_now(s.listener.fd)); },
       std::errc::resource_unavailable_try_again, Feature::accept_dontwait},
      {"CONNECT",
       [](Stage& s) -> Outcome {
         const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
         co_return co_await error_of(async_connect(client, s.listener.get(), sizeof s.listener.address));
       },
       [](Stage& s) -> Outcome {
         const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
         s.listener.fd.reset();
         co_return co_await error_of(async_connect(client, s.listener.get(), sizeof s.listener.address));
       },
       std::errc::connection_refused},
      {"SHUTDOWN",
       [](Stage& s) -> Outcome {
         const Result<void> shut = co_await async_shutdown(s.ours(), SHUT_WR);
         EXPECT_EQ(::recv(s.theirs(), s.buffer.data(), 1, 0), 0);
         co_return shut ? fine : shut.error();
       },
       [](Stage& s) { return error_of(async_shutdown(s.file, SHUT_WR)); }, std::errc::not_a_socket},
      {"RECV",
       [](Stage& s) -> Outcome {
         s.sends("hello");
         const Result<std::size_t> got = co_await async_recv(s.ours(), s.buffer);
         if (!got) co_return got.error();
         EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "hello");
         co_return fine;
       },
       [](Stage& s) { return error_of(async_recv(s.file, s.buffer)); }, std::errc::not_a_socket},
      {"RECV (BUFFER_SELECT)",
       [](Stage& s) -> Outcome {
         s.sends("hello");
         const Result<LentBuffer> got = co_await async_recv(s.ours(), *s.pool);
         if (!got) co_return got.error();
         EXPECT_EQ(text_of(got->bytes()), "hello");
         co_return fine;
       },
       [](Stage& s) -> Outcome {  // all are lent
         std::vector<LentBuffer> lent;
         for (int i = 0; i < 4; ++i) {
           s.sends("x");
           Result<LentBuffer> got = co_await async_recv(s.ours(), *s.pool);
           if (!got) co_return got.error();
           lent.push_back(std::move(*got));
         }
         s.sends("x");
         co_return co_await error_of(async_recv(s.ours(), *s.pool));
       },
       std::errc::no_buffer_space},
      {"RECV (BUNDLE)",
       [](Stage& s) -> Outcome {
         s.sends(std::string(256, 'a') + std::string(100, 'b'));
         const auto got = co_await async_recv_bundle(s.ours(), *s.pool);
         if (!got) co_return got.error();
         const bool bundled = here::capabilities().has(Feature::bundles);
         EXPECT_EQ(got->size(), bundled ? 2U : 1U);
         EXPECT_EQ(text_of(got->front().bytes()), std::string(256, 'a'));
         if (bundled) {
           EXPECT_EQ(text_of(got->back().bytes()), std::string(100, 'b'));
         }
         co_return fine;
       },
       [](Stage& s) { return error_of(async_recv_bundle(s.file, *s.pool)); }, std::errc::not_a_socket},
      {"RECVMSG",
       [](Stage& s) -> Outcome {
         s.sends("message");
         iovec part{s.buffer.data(), s.buffer.size()};
         msghdr message{};
         message.msg_iov = &part;
         message.msg_iovlen = 1;
         const Result<std::size_t> got = co_await async_recvmsg(s.ours(), message);
         if (!got) co_return got.error();
         EXPECT_EQ(text_of(std::span(s.buffer).first(*got)), "message");
         s.sends("from");
         sockaddr_storage from{};
         socklen_t length = sizeof from;
         const Result<std::size_t> more =
             co_await async_recvfrom(s.ours(), s.buffer, reinterpret_cast<sockaddr*>(&from), &length);
         if (!more) co_return more.error();
         EXPECT_EQ(text_of(std::span(s.buffer).first(*more)), "from");
         EXPECT_EQ(length, 0U) << "this peer has no name";
         co_return fine;
       },
       [](Stage& s) { return error_of(async_recvfrom(s.file, s.buffer, nullptr, nullptr)); },
       std::errc::not_a_socket},
      {"SEND",
       [](Stage& s) -> Outcome {
         const Result<std::size_t> put = co_await async_send(s.ours(), bytes_of("sent"));
         if (!put) co_return put.error();
         EXPECT_EQ(s.received(), "sent");
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         s.pair.theirs.reset();
         co_return co_await error_of(async_send(s.ours(), bytes_of("x")));
       },
       std::errc::broken_pipe},
      {"SEND (VECTORIZED)",
       [](Stage& s) -> Outcome {
         const std::array<iovec, 2> parts = {iovec{const_cast<char*>("ab"), 2},
                                             iovec{const_cast<char*>("c"), 1}};
         const Result<std::size_t> put = co_await async_sendv(s.ours(), parts);
         if (!put) co_return put.error();
         EXPECT_EQ(s.received(), "abc");
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         s.pair.theirs.reset();
         const std::array<iovec, 1> parts = {iovec{const_cast<char*>("ab"), 2}};
         co_return co_await error_of(async_sendv(s.ours(), parts));
       },
       std::errc::broken_pipe},
      {"SENDMSG",
       [](Stage& s) -> Outcome {
         iovec part{const_cast<char*>("ab"), 2};
         msghdr message{};
         message.msg_iov = &part;
         message.msg_iovlen = 1;
         const Result<std::size_t> put = co_await async_sendmsg(s.ours(), message);
         if (!put) co_return put.error();
         const Result<std::size_t> more = co_await async_sendto(s.ours(), bytes_of("to"), nullptr, 0);
         if (!more) co_return more.error();
         EXPECT_EQ(s.received(), "abto");
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         s.pair.theirs.reset();
         co_return co_await error_of(async_sendto(s.ours(), bytes_of("x"), nullptr, 0));
       },
       std::errc::broken_pipe},
      {"SEND_ZC",
       [](Stage& s) -> Outcome {  // over TCP: unix sockets know no zero copy
         const Fd client = s.connects();
         Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         s.pair.theirs = std::move(*served);
         co_return co_await zero_copy(s, async_send_zc(client, bytes_of("zero")));
       },
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         ::shutdown(client.get(), SHUT_WR);
         co_return co_await error_of(async_send_zc(client, bytes_of("zero")));
       },
       std::errc::broken_pipe},
      {"SEND_ZC (FIXED_BUF)",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         s.pair.theirs = std::move(*served);
         const FixedBuffer fixed = s.registered->lend();
         std::ranges::copy(bytes_of("zero"), fixed.bytes().begin());
         co_return co_await zero_copy(s, async_send_zc(client, fixed.first(4)));
       },
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         ::shutdown(client.get(), SHUT_WR);
         const FixedBuffer fixed = s.registered->lend();
         co_return co_await error_of(async_send_zc(client, fixed.first(4)));
       },
       std::errc::broken_pipe},
      {"SEND_ZC (to an address)",
       [](Stage& s) -> Outcome {
         Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
         Result<UdpSocket> two = UdpSocket::bind(Address::loopback(0));
         const Address to = two->local_address().value();
         const Result<ZeroCopySend> sent =
             co_await async_sendto_zc(one->fd(), bytes_of("zero"), to.get(), to.length());
         if (!sent) co_return sent.error();
         EXPECT_EQ(sent->bytes, 4U);
         const Result<ReceivedDatagram> got = co_await two->receive_from(s.buffer);
         if (!got) co_return got.error();
         EXPECT_EQ(got->from, one->local_address());
         EXPECT_EQ(text_of(std::span(s.buffer).first(got->bytes)), "zero");
         co_return fine;
       },
       [](Stage&) -> Outcome {
         Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
         const std::vector<std::byte> huge(70'000);
         const Address to = Address::loopback(9);
         co_return co_await error_of(async_sendto_zc(one->fd(), huge, to.get(), to.length()));
       },
       std::errc::message_size},
      {"SENDMSG_ZC",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         s.pair.theirs = std::move(*served);
         iovec part{const_cast<char*>("zero"), 4};
         msghdr message{};
         message.msg_iov = &part;
         message.msg_iovlen = 1;
         co_return co_await zero_copy(s, async_sendmsg_zc(client, message));
       },
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         ::shutdown(client.get(), SHUT_WR);
         iovec part{const_cast<char*>("zero"), 4};
         msghdr message{};
         message.msg_iov = &part;
         message.msg_iovlen = 1;
         co_return co_await error_of(async_sendmsg_zc(client, message));
       },
       std::errc::broken_pipe},
      {"SEND or SEND_ZC",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         const Result<ZeroCopySend> small = co_await async_send_auto(client, bytes_of("small"));
         if (!small) co_return small.error();
         EXPECT_EQ(small->copied, ZeroCopySend::Copied::yes);
         const std::vector<std::byte> much(64 * 1024);
         const Result<ZeroCopySend> large = co_await async_send_auto(client, much);
         if (!large) co_return large.error();
         EXPECT_GT(large->bytes, 0U);
         if (here::capabilities().has(Opcode::send_zc)) {
           EXPECT_EQ(large->copied == ZeroCopySend::Copied::unknown,
                     !here::capabilities().has(Feature::send_zc_report_usage));
         }
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         s.pair.theirs.reset();
         co_return co_await error_of(async_send_auto(s.ours(), bytes_of("x")));
       },
       std::errc::broken_pipe},
      {"SEND (BUNDLE)",
       [](Stage& s) -> Outcome {
         Result<SendQueue> queue = SendQueue::create(4);
         if (!queue) co_return queue.error();
         std::string expected;
         for (int round = 0; round < 10; ++round) {  // around the end of the ring
           const std::string one = std::to_string(round), two = "-" + one + ";";
           EXPECT_TRUE(queue->push(bytes_of(one)) && queue->push(bytes_of(two)));
           expected += one;
           expected += two;
           const Result<std::size_t> put = co_await async_send_bundle(s.ours(), *queue);
           if (!put) co_return put.error();
           EXPECT_EQ(*put, one.size() + two.size());
           EXPECT_TRUE(queue->empty());
         }
         EXPECT_EQ(s.received(), expected);
         for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue->push(bytes_of("x")));
         EXPECT_FALSE(queue->push(bytes_of("x"))) << "it is full";
         EXPECT_FALSE(queue->push({})) << "nothing is no buffer";
         EXPECT_EQ(SendQueue::create(3).error(), std::errc::invalid_argument);
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         s.pair.theirs.reset();
         Result<SendQueue> queue = SendQueue::create(4);
         if (!queue) co_return queue.error();
         EXPECT_TRUE(queue->push(bytes_of("x")));
         co_return co_await error_of(async_send_bundle(s.ours(), *queue));
       },
       std::errc::broken_pipe},
      {"URING_CMD (GETSOCKOPT)",
       [](Stage& s) -> Outcome {
         int type = 0;
         const Result<std::size_t> length = co_await async_getsockopt(
             s.ours(), SOL_SOCKET, SO_TYPE, std::as_writable_bytes(std::span(&type, 1)));
         if (!length) co_return length.error();
         EXPECT_EQ(*length, sizeof type);
         EXPECT_EQ(type, SOCK_STREAM);
         co_return fine;
       },
       [](Stage& s) { return error_of(async_getsockopt(s.ours(), SOL_SOCKET, 9999, s.buffer)); },
       std::errc::no_protocol_option},
      {"URING_CMD (SETSOCKOPT)",
       [](Stage& s) -> Outcome {
         const int on = 1;
         const Result<void> set =
             co_await async_setsockopt(s.ours(), SOL_SOCKET, SO_KEEPALIVE, std::as_bytes(std::span(&on, 1)));
         int is = 0;
         socklen_t length = sizeof is;
         EXPECT_EQ(::getsockopt(s.ours(), SOL_SOCKET, SO_KEEPALIVE, &is, &length), 0);
         EXPECT_EQ(is, 1);
         co_return set ? fine : set.error();
       },
       [](Stage& s) { return error_of(async_setsockopt(s.ours(), SOL_SOCKET, 9999, s.buffer)); },
       std::errc::no_protocol_option},
      {"URING_CMD (SIOCINQ)",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         const Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         EXPECT_EQ(::send(client.get(), "12345", 5, 0), 5);
         const Result<std::size_t> waiting = co_await async_bytes_to_receive(*served);
         if (!waiting) co_return waiting.error();
         EXPECT_EQ(*waiting, 5U);
         co_return fine;
       },
       [](Stage& s) { return error_of(async_bytes_to_receive(s.reader)); },
       std::errc::operation_not_supported, Feature::socket_options},
      {"URING_CMD (SIOCOUTQ)",
       [](Stage& s) -> Outcome {
         const Fd client = s.connects();
         co_return co_await error_of(async_bytes_to_send(client));
       },
       [](Stage& s) { return error_of(async_bytes_to_send(s.reader)); }, std::errc::operation_not_supported,
       Feature::socket_options},
  };
}

std::vector<Row> other_rows() {
  return {
      {"PIPE",
       [](Stage& s) -> Outcome {
         const Result<PipeEnds> made = co_await async_pipe();
         if (!made) co_return made.error();
         EXPECT_EQ(::write(made->writer.get(), "ab", 2), 2);
         EXPECT_EQ(::read(made->reader.get(), s.buffer.data(), 8), 2);
         EXPECT_EQ(::fcntl(made->reader.get(), F_GETFD), FD_CLOEXEC);
         co_return fine;
       },
       [](Stage&) { return error_of(async_pipe(0x40000000)); }, std::errc::invalid_argument},
      {"SPLICE",
       [](Stage& s) -> Outcome {
         const Result<std::size_t> moved = co_await async_splice(s.file, 2, s.writer, current_position, 5);
         if (!moved) co_return moved.error();
         EXPECT_EQ(::read(s.reader.get(), s.buffer.data(), 8), 5);
         EXPECT_EQ(text_of(std::span(s.buffer).first(5)), "23456");
         co_return fine;
       },
       [](Stage& s) { return error_of(async_splice(s.file, 0, s.file, 0, 5)); }, std::errc::invalid_argument},
      {"TEE",
       [](Stage& s) -> Outcome {
         const Result<PipeEnds> other = co_await async_pipe();
         if (!other) co_return other.error();
         EXPECT_EQ(::write(s.writer.get(), "abc", 3), 3);
         const Result<std::size_t> copied = co_await async_tee(s.reader, other->writer, 3);
         if (!copied) co_return copied.error();
         EXPECT_EQ(::read(other->reader.get(), s.buffer.data(), 8), 3);
         EXPECT_EQ(::read(s.reader.get(), s.buffer.data(), 8), 3) << "still there";
         co_return fine;
       },
       [](Stage& s) { return error_of(async_tee(s.file, s.writer, 3)); }, std::errc::invalid_argument},
      {"NOP", [](Stage&) { return error_of(async_nop()); }, [](Stage&) { return refused(async_nop()); },
       std::errc::operation_canceled},
      {"NOP (INJECT_RESULT)",
       [](Stage&) -> Outcome {
         const Result<std::int32_t> result = co_await async_nop(42);
         if (!result) co_return result.error();
         EXPECT_EQ(*result, 42);
         co_return fine;
       },
       [](Stage&) { return error_of(async_nop(-ENOSPC)); }, std::errc::no_space_on_device,
       Feature::nop_inject_result},
      {"POLL_ADD",
       [](Stage& s) -> Outcome {
         const Result<unsigned> ready = co_await async_poll(s.writer, POLLOUT);
         if (!ready) co_return ready.error();
         EXPECT_EQ(*ready, static_cast<unsigned>(POLLOUT));
         co_return fine;
       },
       [](Stage&) { return error_of(async_poll(9999, POLLIN)); }, std::errc::bad_file_descriptor},
      {"POLL_REMOVE (UPDATE_EVENTS)",
       [](Stage& s) -> Outcome {
         std::error_code polled;
         const auto act = [](OperationTag& tag) { return error_of(async_poll_update(tag, POLLOUT)); };
         const std::error_code acted = co_await while_in_flight(async_poll(s.ours(), POLLPRI), act, polled);
         EXPECT_FALSE(polled) << "it waits for something that holds now";
         co_return acted;
       },
       [](Stage&) -> Outcome {
         OperationTag nothing;
         co_return co_await error_of(async_poll_update(nothing, POLLIN));
       },
       std::errc::no_such_file_or_directory},
      {"POLL_REMOVE",
       [](Stage& s) -> Outcome {
         std::error_code polled;
         const auto act = [](OperationTag& tag) { return error_of(async_poll_remove(tag)); };
         const std::error_code acted = co_await while_in_flight(async_poll(s.ours(), POLLIN), act, polled);
         EXPECT_EQ(polled, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) -> Outcome {
         OperationTag nothing;
         co_return co_await error_of(async_poll_remove(nothing));
       },
       std::errc::no_such_file_or_directory},
      {"ASYNC_CANCEL",
       [](Stage& s) -> Outcome {
         std::error_code ended;
         const auto act = [](OperationTag& tag) { return error_of(async_cancel(tag)); };
         const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
         EXPECT_EQ(ended, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) -> Outcome {
         OperationTag nothing;
         co_return co_await error_of(async_cancel(nothing));
       },
       std::errc::no_such_file_or_directory},
      {"ASYNC_CANCEL (FD)",
       [](Stage& s) -> Outcome {
         std::error_code ended;
         const auto act = [&s](OperationTag&) { return error_of(async_cancel(s.ours())); };
         const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
         EXPECT_EQ(ended, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) { return error_of(async_cancel(9999)); }, std::errc::bad_file_descriptor},
      {"ASYNC_CANCEL (OP)",
       [](Stage& s) -> Outcome {
         std::error_code ended;
         const auto act = [](OperationTag& tag) -> Outcome {
           const Result<unsigned> found = co_await async_cancel(Opcode::recv);
           if (!found) (void)co_await async_cancel(tag);
           co_return found ? fine : found.error();
         };
         const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
         EXPECT_EQ(ended, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) { return refused(async_cancel(Opcode::recv)); }, std::errc::operation_canceled,
       Feature::cancel_by_opcode},
      {"ASYNC_CANCEL (ANY)",
       [](Stage& s) -> Outcome {
         std::error_code ended;
         const auto act = [](OperationTag&) { return error_of(async_cancel_all()); };
         const std::error_code acted = co_await while_in_flight(async_recv(s.ours(), s.buffer), act, ended);
         EXPECT_EQ(ended, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) { return refused(async_cancel_all()); }, std::errc::operation_canceled},
      {"TIMEOUT",
       [](Stage&) -> Outcome {
         const TimePoint begin = Clock::now();
         const Result<void> passed = co_await async_timeout(std::chrono::milliseconds(5));
         EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(5));
         co_return passed ? fine : passed.error();
       },
       [](Stage&) { return error_of(async_timeout(std::chrono::seconds(-5))); }, std::errc::invalid_argument},
      {"TIMEOUT (ABS)",
       [](Stage&) -> Outcome {
         for (const TimeoutClock clock :
              {TimeoutClock::monotonic, TimeoutClock::boottime, TimeoutClock::realtime}) {
           const std::array ids = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME};
           timespec now{};
           ::clock_gettime(ids[static_cast<std::size_t>(clock)], &now);
           const Duration soon = std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec + 3'000'000);
           const TimePoint begin = Clock::now();
           const Result<void> passed = co_await async_timeout_at(soon, clock);
           if (!passed) co_return passed.error();
           EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(2));
           const Result<void> past = co_await async_timeout_at(Duration(1), clock);
           if (!past) co_return past.error();
           EXPECT_LT(Clock::now() - begin, std::chrono::hours(1));
         }
         co_return fine;
       },
       [](Stage&) { return error_of(async_timeout_at(std::chrono::seconds(-5))); },
       std::errc::invalid_argument},
      {"TIMEOUT_REMOVE (UPDATE)",
       [](Stage&) -> Outcome {
         std::error_code ended;
         const auto act = [](OperationTag& tag) {
           return error_of(async_timeout_update(tag, std::chrono::milliseconds(1)));
         };
         const std::error_code acted =
             co_await while_in_flight(async_timeout(std::chrono::hours(1)), act, ended);
         EXPECT_FALSE(ended) << "its new time has come";
         co_return acted;
       },
       [](Stage&) -> Outcome {
         OperationTag nothing;
         co_return co_await error_of(async_timeout_update(nothing, std::chrono::seconds(1)));
       },
       std::errc::no_such_file_or_directory},
      {"TIMEOUT_REMOVE",
       [](Stage&) -> Outcome {
         std::error_code ended;
         const auto act = [](OperationTag& tag) { return error_of(async_timeout_remove(tag)); };
         const std::error_code acted =
             co_await while_in_flight(async_timeout(std::chrono::hours(1)), act, ended);
         EXPECT_EQ(ended, std::errc::operation_canceled);
         co_return acted;
       },
       [](Stage&) -> Outcome {
         OperationTag nothing;
         co_return co_await error_of(async_timeout_remove(nothing));
       },
       std::errc::no_such_file_or_directory},
      {"LINK_TIMEOUT",
       [](Stage& s) -> Outcome {
         const auto done =
             co_await chain(async_recv(s.ours(), s.buffer), link_timeout(std::chrono::milliseconds(5)));
         if (!done) co_return done.error();
         const auto& [received, limited] = *done;
         EXPECT_EQ(received.error(), std::errc::operation_canceled);
         EXPECT_TRUE(limited && *limited) << "the time was over first";
         co_return fine;
       },
       [](Stage&) { return error_of(link_timeout(std::chrono::seconds(1))); }, std::errc::invalid_argument},
      {"EPOLL_CTL",
       [](Stage& s) -> Outcome {
         const Fd set(::epoll_create1(EPOLL_CLOEXEC));
         epoll_event event{.events = EPOLLOUT, .data = {.u64 = 7}};
         const Result<void> added = co_await async_epoll_ctl(set.get(), EPOLL_CTL_ADD, s.ours(), &event);
         EXPECT_EQ(::epoll_wait(set.get(), &event, 1, 0), 1);
         co_return added ? fine : added.error();
       },
       [](Stage& s) -> Outcome {
         const Fd set(::epoll_create1(EPOLL_CLOEXEC));
         epoll_event event{.events = EPOLLOUT, .data = {.u64 = 7}};
         co_return co_await error_of(async_epoll_ctl(set.get(), EPOLL_CTL_ADD, s.file.get(), &event));
       },
       std::errc::operation_not_permitted},
      {"EPOLL_WAIT",
       [](Stage& s) -> Outcome {
         const Fd set(::epoll_create1(EPOLL_CLOEXEC));
         epoll_event event{.events = EPOLLIN, .data = {.u64 = 7}};
         EXPECT_EQ(::epoll_ctl(set.get(), EPOLL_CTL_ADD, s.ours(), &event), 0);
         std::array<epoll_event, 4> found{};
         auto waiting = spawn(async_epoll_wait(set.get(), found));
         (void)co_await async_nop();
         s.sends("x");
         const Result<std::size_t> count = co_await std::move(waiting);
         if (!count) co_return count.error();
         EXPECT_EQ(*count, 1U);
         EXPECT_EQ(found[0].data.u64, 7U);
         co_return fine;
       },
       [](Stage& s) -> Outcome {
         std::array<epoll_event, 4> found{};
         co_return co_await error_of(async_epoll_wait(s.file.get(), found));
       },
       std::errc::invalid_argument},
      {"FUTEX_WAIT",
       [](Stage&) -> Outcome {
         std::atomic<std::uint32_t> word = 1;
         JoinHandle<std::error_code> waiting = spawn(error_of(async_futex_wait(word, 1)));
         unsigned woken = 0;
         while (woken == 0 && !waiting.done()) {
           const Result<unsigned> count = co_await async_futex_wake(word);
           if (!count) co_return count.error();
           woken += *count;
         }
         co_return co_await std::move(waiting);
       },
       [](Stage&) -> Outcome {
         std::atomic<std::uint32_t> word = 1;
         co_return co_await error_of(async_futex_wait(word, 2));
       },
       std::errc::resource_unavailable_try_again, Opcode::futex_wait},
      {"FUTEX_WAKE",
       [](Stage&) -> Outcome {
         std::atomic<std::uint32_t> word = 1;
         const Result<unsigned> woken = co_await async_futex_wake(word);
         if (!woken) co_return woken.error();
         EXPECT_EQ(*woken, 0U);
         co_return fine;
       },
       [](Stage&) {
         const auto* const nowhere = reinterpret_cast<const std::atomic<std::uint32_t>*>(4096);
         return error_of(async_futex_wake(*nowhere, 1, FutexScope::shared_memory));
       },
       std::errc::bad_address},
      {"FUTEX_WAITV",
       [](Stage&) -> Outcome {
         std::array<std::atomic<std::uint32_t>, 2> words{};
         std::array<futex_waitv, 2> waits{};
         for (std::size_t i = 0; i < 2; ++i) {
           waits[i].uaddr = reinterpret_cast<std::uintptr_t>(&words[i]);
           waits[i].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
         }
         auto waiting = spawn([](std::span<const futex_waitv> these) -> Task<Result<std::size_t>> {
           co_return co_await async_futex_waitv(these);
         }(waits));
         while (!waiting.done()) {
           const Result<unsigned> count = co_await async_futex_wake(words[1]);
           if (!count) co_return count.error();
         }
         const Result<std::size_t> which = co_await std::move(waiting);
         if (!which) co_return which.error();
         EXPECT_EQ(*which, 1U);
         co_return fine;
       },
       [](Stage&) { return error_of(async_futex_waitv({})); }, std::errc::invalid_argument,
       Opcode::futex_waitv},
      {"WAITID",
       [](Stage&) -> Outcome {
         siginfo_t how{};
         const pid_t sleeper = ::fork();
         if (sleeper == 0) ::pause();
         const Result<void> at_once =
             co_await async_waitid(P_PID, static_cast<id_t>(sleeper), how, WEXITED | WNOHANG);
         EXPECT_TRUE(at_once && how.si_pid == 0) << "it runs still";
         ::kill(sleeper, SIGKILL);
         ::waitpid(sleeper, nullptr, 0);
         const pid_t child = ::fork();
         if (child == 0) ::_exit(7);
         const Result<void> ended = co_await async_waitid(P_PID, static_cast<id_t>(child), how, WEXITED);
         if (!ended) co_return ended.error();
         EXPECT_EQ(how.si_status, 7);
         co_return fine;
       },
       [](Stage&) -> Outcome {
         siginfo_t how{};
         co_return co_await error_of(async_waitid(P_PID, 0x3fffffff, how, WEXITED));
       },
       std::errc::no_child_process},
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
      {"URING_CMD",
       [](Stage& s) -> Outcome {  // of sockets, which have some
         const Fd client = s.connects();
         const Result<Fd> served = co_await async_accept(s.listener.fd);
         if (!served) co_return served.error();
         EXPECT_EQ(::send(client.get(), "12345", 5, 0), 5);
         const Result<Reply> waiting = co_await async_uring_cmd(*served, abi::socket_siocinq);
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
  };
}

std::vector<Row> stream_rows() {
  return {
      {"ACCEPT (MULTISHOT)",
       [](Stage& s) -> Outcome {
         AcceptStream connections(s.listener.fd);
         for (int i = 0; i < 3; ++i) {
           const Fd client = s.connects();
           const Result<Fd> got = co_await connections.next();
           if (!got) co_return got.error();
           EXPECT_EQ(::fcntl(got->get(), F_GETFD), FD_CLOEXEC);
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
         for (int i = 0; i < 6; ++i) {  // more than there are slots: they are given back
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
           EXPECT_GT(::write(s.writer.get(), text, std::strlen(text)), 0);
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
         const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
         EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
         sockaddr_in address{};
         socklen_t length = sizeof address;
         EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
         Result<BufferPool> pieces = BufferPool::create({.count = 2, .size = 512, .incremental = true});
         if (pieces && pieces->is_incremental()) {
           RecvmsgStream wrong(socket, *pieces);
           const std::error_code refused = co_await error_of(wrong.next());
           EXPECT_EQ(refused, std::errc::invalid_argument);
         }
         RecvmsgStream stream(socket, *s.pool);
         for (const std::string_view text : {"one", "", "three", "four", "five", "six"}) {
           EXPECT_EQ(::sendto(socket.get(), text.data(), text.size(), 0,
                              reinterpret_cast<const sockaddr*>(&address), length),
                     static_cast<ssize_t>(text.size()));
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
         const TimePoint begin = Clock::now();
         TimeoutStream ticks(std::chrono::milliseconds(2));
         for (int i = 0; i < 3; ++i) {
           const Result<void> tick = co_await ticks.next();
           if (!tick) co_return tick.error();
         }
         EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(6));
         co_return fine;
       },
       [](Stage&) -> Outcome {
         TimeoutStream none(Duration::zero());
         co_return co_await error_of(none.next());
       },
       std::errc::invalid_argument},
  };
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> made;
    for (const auto& part : {file_rows(), path_rows(), socket_rows(), other_rows(), stream_rows()}) {
      made.insert(made.end(), part.begin(), part.end());
    }
    return made;
  }();
  return all;
}

// ---- each of them, on rings of two sizes ----

Task<void> play(const Row& row, const std::function<Outcome(Stage&)>& part, std::error_code& outcome,
                bool& offered) {
  offered = !row.need || here::capabilities().has(*row.need);
  Stage stage;
  outcome = co_await part(stage);
  EXPECT_EQ(stage.pool->in_kernel() + stage.pool->lent(), stage.pool->capacity());
}

class Operation : public testing::TestWithParam<std::tuple<std::size_t, bool>> {
 protected:
  const Row& row = rows()[std::get<0>(GetParam())];

  void plays(const std::function<Outcome(Stage&)>& part) {
    WorkerOptions options;
    if (std::get<1>(GetParam())) {
      options.sq_entries = 4;
      options.cq_entries = 8;
    }
    const int descriptors = test::open_descriptors();
    test::run_on_a_worker_here(play(row, part, outcome, offered), options);
    EXPECT_EQ(test::open_descriptors(), descriptors);
  }
  void says_what_it_needs() const {
    EXPECT_EQ(outcome, std::errc::operation_not_supported);
    EXPECT_NE(outcome.message().find("needs Linux"), std::string::npos) << outcome.message();
  }

  std::error_code outcome;
  bool offered = false;
};

TEST_P(Operation, works) {
  plays(row.works);
  if (!offered) return says_what_it_needs();
  EXPECT_FALSE(outcome) << outcome.message();
}

TEST_P(Operation, fails) {
  plays(row.fails);
  if (!offered && outcome != row.expected) return says_what_it_needs();
  EXPECT_EQ(outcome, row.expected) << outcome.message();
}

std::string case_name(const testing::TestParamInfo<std::tuple<std::size_t, bool>>& info) {
  std::string name = rows()[std::get<0>(info.param)].name;
  std::erase_if(name, [](char c) { return c == '(' || c == ')' || c == ','; });
  std::ranges::replace(name, ' ', '_');
  return name + (std::get<1>(info.param) ? "_on_a_tiny_ring" : "_on_a_usual_ring");
}
INSTANTIATE_TEST_SUITE_P(Every, Operation,
                         testing::Combine(testing::Range(std::size_t{0}, rows().size()), testing::Bool()),
                         case_name);

// ---- all of them ----

/// The first cell of each row in the headers.
std::set<std::string> documented() {
  std::set<std::string> names;
  for (const auto& header : std::filesystem::recursive_directory_iterator(CORERING_SOURCE_DIR "/include")) {
    std::ifstream in(header.path());
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("/// | ")) continue;
      names.insert(line.substr(6, line.find(" | ", 6) - 6));
    }
  }
  return names;
}

TEST(Operations, each_that_is_documented_is_tested_here) {
  std::set<std::string> tested;
  for (const Row& row : rows()) tested.insert(row.name);
  EXPECT_EQ(documented(), tested);
}

// The tests with a mask are listed in tests/CMakeLists.txt.
TEST(Operations, are_tested_without_everything_that_can_be_missing) {
  std::set<std::string> listed;
  std::istringstream names(CORERING_EVERY_MASK);
  for (std::string name; std::getline(names, name, ',');) listed.insert(name);
  std::set<std::string> offered;
  for (int i = 0; i < static_cast<int>(Feature::count_); ++i) {
    offered.emplace(offer_of(static_cast<Feature>(i)).name);
  }
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    const Offer* const offer = offer_of(static_cast<Opcode>(i));
    if (offer != nullptr) offered.emplace(offer->name);
  }
  EXPECT_EQ(listed, offered);
}

// PROVIDE_BUFFERS and REMOVE_BUFFERS are what buffer rings have replaced; RECV_ZC needs a network card of its
// own and is left to async_raw().
TEST(Operations, are_there_for_every_opcode_but_three) {
  const std::set<std::string> names = documented();
  for (std::size_t i = 0; i < opcode_names.size(); ++i) {
    std::string name(opcode_names[i]);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    if (name == "PROVIDE_BUFFERS" || name == "REMOVE_BUFFERS" || name == "RECV_ZC") continue;
    EXPECT_TRUE(std::ranges::any_of(names, [&name](const std::string& known) {
      return known == name || known.starts_with(name + " ");
    })) << name;
  }
}

}  // namespace
}  // namespace corering
