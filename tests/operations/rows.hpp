/// rows.hpp — what a row of docs/OPERATIONS.md is in the tests, and what its operations work on.
#pragma once

#include <algorithm>
#include <fstream>
#include <functional>

#include "support/story.hpp"

namespace corering::test {

using Outcome = Task<std::error_code>;

inline const std::error_code fine;

/// What the operations work on. It lives on the worker.
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
    write_content(path, "0123456789");
    file = Fd(sys::open(path.c_str(), O_RDWR | O_CLOEXEC));
    read_only = Fd(sys::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<int, 2> fds{};
    EXPECT_EQ(sys::pipe2(fds.data(), O_CLOEXEC), 0);
    reader = Fd(fds[0]);
    writer = Fd(fds[1]);
  }

  [[nodiscard]] int ours() const { return pair.ours.get(); }
  [[nodiscard]] int theirs() const { return pair.theirs.get(); }
  [[nodiscard]] std::string content() const { return content_of(path); }
  [[nodiscard]] std::string received() const {
    std::array<char, 256> got{};
    const ssize_t length = sys::recv(theirs(), got.data(), got.size(), MSG_DONTWAIT);
    return {got.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  }
  void sends(std::string_view text) const {
    EXPECT_EQ(sys::write(theirs(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] Fd connects() const {
    Fd client(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
    return client;
  }
  [[nodiscard]] bool exists(const char* name) const { return test::exists(directory / name); }
};

struct Row {
  const char* name;  ///< as in docs/OPERATIONS.md
  std::function<Outcome(Stage&)> works;
  std::function<Outcome(Stage&)> fails;
  std::errc expected;
  std::optional<Need> need = std::nullopt;  ///< for operations that have no substitute
};

/// Awaits the operation in a scope that is already cancelled.
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

/// Does `act` to an operation that is in flight with a tag, and stores what became of the operation.
template <class Operation, class Act>
Outcome while_in_flight(Operation operation, Act act, std::error_code& of_the_operation) {
  OperationTag tag;
  JoinHandle<std::error_code> waiting = spawn(holds_tag(std::move(operation), tag));
  (void)co_await async_nop();
  const std::error_code acted = co_await act(tag);
  of_the_operation = co_await std::move(waiting);
  co_return acted;
}

inline Outcome reads_vectors(Stage& s, auto operation) {
  const Result<std::size_t> got = co_await operation;
  if (!got) co_return got.error();
  EXPECT_EQ(*got, 6U);
  EXPECT_EQ(text_of(std::span(s.buffer).first(3)), "234");
  EXPECT_EQ(text_of(std::span(s.buffer).subspan(8, 3)), "567");
  co_return fine;
}

inline Outcome zero_copy(Stage& s, auto operation) {
  const Result<ZeroCopySend> sent = co_await operation;
  if (!sent) co_return sent.error();
  EXPECT_EQ(sent->bytes, 4U);
  EXPECT_EQ(s.received(), "zero");
  co_return fine;
}

inline Outcome gets_a_piece(auto& stream, std::string_view expected) {
  const Result<LentBuffer> piece = co_await stream.next();
  if (!piece) co_return piece.error();
  EXPECT_EQ(text_of(piece->bytes()), expected);
  co_return fine;
}

inline Outcome opens_directly(Stage& s, auto operation) {
  const Result<FixedFile> opened = co_await operation;
  if (!opened) co_return opened.error();
  EXPECT_EQ(s.table->used(), 1U);
  const Result<std::size_t> got = co_await async_read(*opened, s.buffer, 0);
  if (!got) co_return got.error();
  EXPECT_EQ(*got, 10U);
  co_return fine;
}

inline const open_how beneath{.flags = O_RDONLY, .mode = 0, .resolve = RESOLVE_BENEATH};

/// Holds the rows of one header. Each such table is made before main() begins.
class OperationRows {
 public:
  explicit OperationRows(std::vector<Row> rows) {
    for (Row& row : rows) every_row().push_back(std::move(row));
  }
  /// Returns the rows of all headers.
  [[nodiscard]] static std::vector<Row>& every_row() {
    static std::vector<Row> all;
    return all;
  }
};

}  // namespace corering::test
