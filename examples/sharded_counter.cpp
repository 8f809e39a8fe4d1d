/// sharded_counter.cpp — counts the words of standard input. Each worker owns a part of the words and counts
/// them without a lock: a coroutine that has a word goes to the word's worker with SwitchToWorker, and comes
/// back.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

/// What one worker counts. Only that worker may use it.
using Shard = std::map<std::string, std::size_t, std::less<>>;

struct Counter {
  WorkerPool& workers;
  std::vector<Shard> shards = std::vector<Shard>(workers.size());

  Task<Result<void>> count(std::string_view word) {
    const std::size_t owner = std::hash<std::string_view>()(word) % shards.size();
    const Result<void> there = co_await SwitchToWorker(workers[owner]);
    if (!there) co_return there;
    ++shards[owner][std::string(word)];
    co_return Result<void>();
  }
};

Task<Result<void>> count_line(Counter& counter, std::string line) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const Result<void> counted = co_await counter.count(word);
    if (!counted) co_return counted;
  }
  co_return Result<void>();
}

Task<Result<void>> count_input(Counter& counter) {
  const Result<PipeReader> input = standard_input();
  if (!input) co_return std::unexpected(input.error());
  Reader lines(*input);
  const auto read_lines = [&](TaskGroup& group) -> Task<Result<void>> {
    for (;;) {
      const Result<std::string_view> line = co_await lines.read_line(1 << 20);
      if (!line) co_return is_end(line.error()) ? Result<void>() : std::unexpected(line.error());
      const Result<void> room = co_await group.room();
      if (!room) co_return room;
      group.spawn(count_line(counter, std::string(*line)));
    }
  };
  const TaskGroupOptions options{.max_running = 64};
  co_return co_await with_group(read_lines, options);
}

int main() {
  WorkerPool workers;
  if (const Result<void> started = workers.start(); !started) {
    return std::fprintf(stderr, "sharded_counter: %s\n", started.error().message().c_str()), 1;
  }
  Counter counter{workers};
  const Result<void> counted = sync_wait(workers[0].spawn(count_input(counter)).value());
  if (!counted) return std::fprintf(stderr, "sharded_counter: %s\n", counted.error().message().c_str()), 1;
  Shard all;
  for (Shard& shard : counter.shards) all.merge(shard);
  for (const auto& [word, times] : all) std::printf("%7zu %s\n", times, word.c_str());
}
