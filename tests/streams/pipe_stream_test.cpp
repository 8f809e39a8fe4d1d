/// pipe_stream_test.cpp — pipes and standard streams.
#include <csignal>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::error_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> through_a_pipe() {
  Result<Pipe> pipe = Pipe::create();
  EXPECT_TRUE(pipe);
  const std::string much(1 << 20, 'p');
  const auto writes_all = [](PipeWriter writer, std::string_view text) -> Task<void> {
    const Result<void> put = co_await writer.write_all(bytes_of(text));
    EXPECT_TRUE(put);
    const Result<void> closed = co_await writer.close();
    EXPECT_TRUE(closed);
  };
  JoinHandle<void> writing = spawn(writes_all(std::move(pipe->writer), much));
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 4096});
  ReadStream stream = pipe->reader.stream(*pool);
  std::size_t total = 0;
  for (;;) {
    const Result<LentBuffer> piece = co_await stream.next();
    if (!piece) {
      EXPECT_TRUE(is_end(piece.error())) << piece.error().message();
      break;
    }
    total += piece->size();
  }
  co_await std::move(writing);
  EXPECT_EQ(total, much.size());
}

TEST(Pipe, carries_more_than_it_holds) { run_on_a_worker_here(through_a_pipe()); }

Task<void> uses_standard_streams() {
  const Result<PipeWriter> out = standard_output();
  EXPECT_TRUE(out);
  const Result<void> put = co_await out->write_all(bytes_of(""));
  EXPECT_TRUE(put);
  EXPECT_TRUE(standard_error());
}

TEST(StandardStreams, are_copies) {
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(uses_standard_streams());
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// The process has the default disposition of SIGPIPE. So does this thread, except while it runs the worker.
Task<void> writes_to_nobody() {
  Result<Pipe> pipe = Pipe::create();
  EXPECT_TRUE(pipe);
  (void)co_await pipe->reader.close();
  const std::error_code error = co_await error_of(pipe->writer.write(bytes_of("x")));
  EXPECT_EQ(error, std::errc::broken_pipe);
}

TEST(Pipe, that_nobody_reads_is_an_error_and_no_signal) {
  run_on_a_worker_here(writes_to_nobody());
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

}  // namespace
}  // namespace corering
