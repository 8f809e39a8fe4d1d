/// recorded_run.hpp — a run that is recorded and replayed, and the programs that run.
#pragma once

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <corering/corering.hpp>
#include <corering/replay/replay.hpp>
#include <corering/trace/recorder.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"
namespace corering {

namespace fs = std::filesystem;
using replay::RunRecorder;
using replay::RunReplay;

class Replay : public testing::TestWithParam<Kernel*> {
 protected:
  Replay() {
    std::string name = fs::temp_directory_path() / "corering-replay-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  void SetUp() override {
    if (GetParam() == &real_kernel()) NEEDS_IO_URING("a run on it");
  }
  ~Replay() override { fs::remove_all(directory_); }

  [[nodiscard]] fs::path file() const { return directory_ / "run.replay"; }
  [[nodiscard]] fs::path data() const { return directory_ / "data"; }

  /// Runs what `make` makes and records it. Returns the recorder's hash.
  template <class Make>
  std::uint64_t record(Make make, bool bytes = true) {
    auto recorder = RunRecorder::start({.file = file(), .bytes = bytes, .kernel = GetParam()}).value();
    EXPECT_TRUE(run(make(), {.kernel = &recorder->kernel()}).has_value());
    EXPECT_EQ(recorder->why_not(), "");
    return recorder->hash();
  }
  template <class Make>
  void replay(Make make, std::uint64_t hash) {
    auto again = RunReplay::open(file()).value();
    EXPECT_TRUE(run(make(), {.kernel = &again->kernel()}).has_value());
    EXPECT_TRUE(again->has_ended());
    if (hash != 0) {
      EXPECT_GT(again->events(), 10U);
      EXPECT_EQ(again->hash(), hash);
    }
  }
  /// Changes one byte, counted from the end.
  void damage(std::size_t from_end) {
    std::fstream content(file(), std::ios::in | std::ios::out | std::ios::binary);
    content.seekg(-static_cast<std::streamoff>(from_end), std::ios::end);
    const int byte = content.get();
    content.seekp(-static_cast<std::streamoff>(from_end), std::ios::end);
    content.put(static_cast<char>(byte ^ 0x40));
  }
  std::unique_ptr<RunRecorder> recorder_;

  [[nodiscard]] std::string why_not() const {
    const auto opened = RunReplay::open(file());
    return opened ? "" : opened.error();
  }

 private:
  fs::path directory_;
};

// ---- programs ----

/// What a program has seen, in order.
struct Seen {
  std::uint64_t order = 1;
  std::string text;
  void note(std::uint64_t what) { order = order * 1'000'003 + what; }
};

inline Task<void> echo(TcpStream stream) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await stream.read(buffer);
    if (!got || *got == 0) break;
    const Result<void> sent = co_await stream.write_all(std::span(buffer).first(*got));
    if (!sent) break;
  }
  (void)co_await stream.close();
}

inline Task<void> serve_all(TcpListener& listener) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) break;
    spawn(echo(std::move(*client))).detach();
  }
}

inline Task<Result<void>> ask(Address server, unsigned number, Seen& seen) {
  Result<TcpStream> stream = co_await TcpStream::connect(server);
  if (!stream) co_return std::unexpected(stream.error());
  for (unsigned turn = 0; turn < 5; ++turn) {
    (void)co_await sleep_for(std::chrono::microseconds(7 * number));
    (void)co_await async_nop().forced_async();  // helper threads of the kernel race each other
    std::array<std::byte, 8> message{std::byte(number), std::byte(turn)};
    const Result<void> sent = co_await stream->write_all(message);
    if (!sent) co_return std::unexpected(sent.error());
    const Result<std::size_t> got = co_await stream->read(message);
    if (!got) co_return std::unexpected(got.error());
    seen.note(number * 1000 + std::to_integer<unsigned>(message[1]) * 100 + *got);
  }
  co_return co_await stream->close();
}

inline Task<Result<void>> many_clients(Seen& seen) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  if (!listener) co_return std::unexpected(listener.error());
  JoinHandle<void> server = spawn(serve_all(*listener));
  const Address address = listener->local_address().value();
  const Result<void> done = co_await with_group([&](TaskGroup& group) -> Task<void> {
    for (unsigned i = 1; i <= 5; ++i) group.spawn(ask(address, i, seen));
    co_return;
  });
  server.request_cancel();
  (void)co_await std::move(server);
  co_return done;
}

inline Task<Result<void>> read_file(fs::path path, Seen& seen) {
  Result<File> file = co_await File::open(path);
  if (!file) co_return std::unexpected(file.error());
  std::array<std::byte, 100> buffer;
  const Result<std::size_t> got = co_await file->read_at(buffer, 0);
  if (!got) co_return std::unexpected(got.error());
  seen.text.assign(reinterpret_cast<const char*>(buffer.data()), *got);
  co_return co_await file->close();
}

inline Task<Result<void>> sleep_twice() {
  (void)co_await sleep_for(std::chrono::microseconds(1));
  (void)co_await sleep_for(std::chrono::microseconds(1));
  co_return Result<void>();
}

inline Task<Result<void>> socket_pair_with_pool(Seen& seen) {
  auto ends = UnixStream::pair().value();
  BufferPool pool = BufferPool::create({.count = 8, .size = 64}).value();
  for (int i = 0; i < 20; ++i) {
    const std::string text = "message " + std::to_string(i);
    const Result<void> sent = co_await ends.first.write_all(std::as_bytes(std::span(text)));
    if (!sent) co_return std::unexpected(sent.error());
    const Result<LentBuffer> got = co_await ends.second.read(pool);
    if (!got) co_return std::unexpected(got.error());
    const auto bytes = got->bytes();
    seen.text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  co_return Result<void>();
}

}  // namespace corering
