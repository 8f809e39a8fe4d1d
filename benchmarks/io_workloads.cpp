/// io_workloads.cpp — nop and read on the caller's thread, compared with hand-written C and programs of
/// Debian.
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

#include "bare_side.hpp"
#include "our_side.hpp"
#include "process.hpp"
#include "processors.hpp"
#include "raw.h"
#include "side_by_side.hpp"
#include "workloads.hpp"

namespace bench {

using corering::Fd;
using corering::Result;
using corering::Task;

namespace {

Task<void> nops(std::uint64_t& left) {
  while (left > 0) {
    --left;
    check(co_await corering::async_nop());
  }
}

}  // namespace

double our_nop(unsigned depth, std::uint64_t operations) {
  std::uint64_t left = operations;
  const auto make = [&left](unsigned) { return nops(left); };
  return measure_one([&](double& elapsed) { return run_side_by_side(depth, make, elapsed); });
}

namespace {

Workload nop_row(const char* name, unsigned depth, std::uint64_t operations, bool core, unsigned repeats) {
  return {
      .name = name,
      .parameters = "depth " + std::to_string(depth),
      .subjects = {timed("raw", operations, [depth](std::uint64_t n) { return checked(raw_nop(depth, n)); }),
                   timed("bare", operations,
                         [depth](std::uint64_t n) { return checked(bare_side::nop(depth, n)); }),
                   timed("corering", operations, [depth](std::uint64_t n) { return our_nop(depth, n); })},
      .core = core,
      .repeats = repeats};
}

/// Returns how many nops `threads` threads do together per second. `nanoseconds(operations)` measures one of
/// them.
Subject throughput(std::string name, unsigned threads, double (*nanoseconds)(std::uint64_t operations)) {
  return {
      .name = std::move(name), .run = [threads, nanoseconds] {
        constexpr std::uint64_t each = 4'000'000;
        std::vector<int> where;
        for (unsigned i = 0; i < threads; ++i) where.push_back(processors()[i % processors().size()]);
        const std::vector<double> took =
            on_threads(where, [nanoseconds](std::size_t) { return nanoseconds(each); });
        const double per_second = std::accumulate(took.begin(), took.end(), 0.0, [](double sum, double ns) {
          return sum + static_cast<double>(each) / ns * 1e9;
        });
        return Metrics{
            {.name = "throughput", .unit = "operations/s", .value = per_second, .better = Better::higher}};
      }};
}

Workload workers(unsigned threads) {
  constexpr unsigned depth = 32;
  return {.name = "workers",
          .parameters = std::to_string(threads) + (threads == 1 ? " worker" : " workers") + ", nop, depth 32",
          .subjects = {throughput("raw", threads, [](std::uint64_t n) { return checked(raw_nop(depth, n)); }),
                       throughput("corering", threads, [](std::uint64_t n) { return our_nop(depth, n); })},
          .core = false};
}

// ---- read ----

constexpr std::size_t block_size = 4096;
constexpr std::uint64_t block_count = 4096;

/// A file of block_count blocks that is in the page cache, and disappears with this process. Other programs
/// open it as path().
class CachedFile {
 public:
  CachedFile() {
    const char* const directory = std::getenv("TMPDIR");
    std::string path = (directory != nullptr ? directory : "/tmp") + std::string("/bench-XXXXXX");
    fd_ = Fd(::mkostemp(path.data(), O_CLOEXEC));
    if (!fd_.is_open()) throw std::system_error(errno, std::system_category(), path);
    ::unlink(path.c_str());
    const std::vector<char> block(block_size, 'x');
    for (std::uint64_t i = 0; i < block_count; ++i) {
      if (::write(fd_.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
        throw std::system_error(errno, std::system_category(), "writing the file to read");
      }
    }
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd());
  }

 private:
  Fd fd_;
};

const CachedFile& cached_file() {
  static const CachedFile file;
  return file;
}

struct Reads {
  std::uint64_t left;
  std::uint64_t random = 1;

  std::uint64_t next_offset() noexcept {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random >> 33) % block_count * block_size;
  }
};

/// `Buffer` is a span or a FixedSpan. `read` makes the operation.
template <class Buffer, class Read>
Task<void> reads(Reads& reads, corering::Descriptor file, Buffer buffer, Read read) {
  while (reads.left > 0) {
    --reads.left;
    const Result<std::size_t> got = co_await read(file, buffer, reads.next_offset());
    if (!got || *got != block_size) throw std::runtime_error("a read of a cached block came back short");
  }
}

constexpr auto plainly = [](const auto& file, const auto& buffer, std::uint64_t offset) {
  return corering::async_read(file, buffer, offset);
};
constexpr auto from_the_cache = [](const auto& file, const auto& buffer, std::uint64_t offset) {
  return corering::async_read_cached(file, buffer, offset);
};

template <class Read>
double our_read(unsigned depth, std::uint64_t operations, Read read) {
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, depth * block_size)), &std::free);
  const std::span buffers(memory.get(), depth * block_size);
  Reads state{.left = operations};
  const auto make = [&](unsigned slot) {
    return reads(state, cached_file().fd(), buffers.subspan(slot * block_size, block_size), read);
  };
  return measure_one([&](double& elapsed) { return run_side_by_side(depth, make, elapsed); });
}

Task<void> read_fixed(unsigned depth, std::uint64_t operations, double& elapsed) {
  Result<corering::FileTable> table = corering::FileTable::create(1);
  check(table);
  const Result<corering::FixedFile> file = co_await corering::async_install(*table, cached_file().fd());
  check(file);
  Result<corering::RegisteredBuffers> registered =
      corering::RegisteredBuffers::create({.count = static_cast<std::uint16_t>(depth), .size = block_size});
  check(registered);
  std::vector<corering::FixedBuffer> buffers;
  for (unsigned i = 0; i < depth; ++i) buffers.push_back(registered->lend());
  Reads state{.left = operations};
  const auto make = [&](unsigned slot) { return reads(state, *file, buffers[slot].all(), plainly); };
  co_await run_side_by_side(depth, make, elapsed);
}

/// Returns nanoseconds, as a separate program measures them with Asio on io_uring. A program that has Asio on
/// epoll cannot do that.
double asio_read(unsigned depth, std::uint64_t operations) {
  return number_in(output_of({beside("read_asio_uring"), cached_file().path(), std::to_string(depth),
                              std::to_string(operations), std::to_string(block_count)}));
}

/// Returns nanoseconds, computed from the IOPS that fio reports.
double fio_read(unsigned depth, std::uint64_t operations) {
  const std::string line = output_of(
      {"fio", "--name=read", "--filename=" + cached_file().path(), "--rw=randread", "--bs=4k",
       "--norandommap", "--ioengine=io_uring", "--iodepth=" + std::to_string(depth), "--invalidate=0",
       "--thread", "--size=" + std::to_string(block_count * block_size),
       "--io_size=" + std::to_string(operations * block_size), "--output-format=terse", "--terse-version=3"});
  std::istringstream fields(line);
  std::string field;
  constexpr int iops_of_reads = 8;  // fio(1), TERSE OUTPUT
  for (int i = 0; i < iops_of_reads && std::getline(fields, field, ';'); ++i) {
  }
  const double iops = number_in(field);
  if (iops <= 0) throw std::runtime_error("fio reports no reads: " + line);
  return static_cast<double>(operations) / iops * 1e9;
}

Subject raw_reads_of(unsigned depth, std::uint64_t operations, bool fixed) {
  return timed("raw", operations, [depth, fixed](std::uint64_t n) {
    const raw_reads reads{
        .fd = cached_file().fd(), .block = block_size, .blocks = block_count, .fixed = fixed};
    return checked(raw_read(&reads, depth, n));
  });
}

void add_reads(std::vector<Workload>& all, unsigned depth) {
  constexpr std::uint64_t operations = 100'000;
  constexpr unsigned repeats = 3;
  const std::string parameters = "4 KiB cached, depth " + std::to_string(depth);
  const auto pread = [](std::uint64_t n) {
    const raw_reads reads{.fd = cached_file().fd(), .block = block_size, .blocks = block_count, .fixed = 0};
    return checked(raw_pread(&reads, n));
  };
  const auto plain = [depth](std::uint64_t n) { return our_read(depth, n, plainly); };
  const auto cached = [depth](std::uint64_t n) { return our_read(depth, n, from_the_cache); };
  const auto asio = [depth](std::uint64_t n) { return asio_read(depth, n); };
  const auto fio = [depth](std::uint64_t n) { return fio_read(depth, n); };
  all.push_back({.name = "read",
                 .parameters = parameters,
                 .subjects = {raw_reads_of(depth, operations, false), timed("corering", operations, plain),
                              timed("corering_cached", operations, cached),
                              timed("corering_emulated", operations, emulated(plain)),
                              timed("pread", operations, pread), timed("asio_uring", operations, asio),
                              timed("fio", operations, fio)},
                 .repeats = repeats,
                 .promises = {{"corering_emulated", "time", 1.25, "pread"}}});
  const auto fixed = [depth](std::uint64_t n) {
    return measure_one([&](double& elapsed) { return read_fixed(depth, n, elapsed); });
  };
  all.push_back({.name = "read",
                 .parameters = parameters + ", registered",
                 .subjects = {raw_reads_of(depth, operations, true), timed("corering", operations, fixed)},
                 .repeats = repeats});
}

}  // namespace

void add_io_workloads(std::vector<Workload>& all) {
  for (const unsigned depth : {1U, 32U, 128U}) {
    all.push_back(nop_row("nop", depth, depth == 1 ? 250'000 : 1'000'000, true, 4));
  }
  for (const unsigned depth : {1U, 32U}) add_reads(all, depth);
  for (unsigned depth = 1; depth <= 4096; depth *= 2) {
    all.push_back(nop_row("depth", depth, depth < 8 ? 500'000 : 2'000'000, false, 1));
  }
  for (const unsigned threads : {1U, 2U}) all.push_back(workers(threads));
}

}  // namespace bench
