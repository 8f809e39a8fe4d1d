/// scenario.cpp — the parts of the program: each checks what it gets, and bears whatever goes wrong.
#include "sim/scenario.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <corering/corering.hpp>

#include "sim/echo.hpp"
#include "sim/hard_parts.hpp"
#include "sim/machine_parts.hpp"
#include "sim/program.hpp"

namespace corering::sim_test {
namespace {

using namespace std::chrono_literals;

/// There may be no memory for a coroutine. Then a part of the program ends early.
Task<void> bears(Task<void> part) {
  try {
    co_await std::move(part);
  } catch (const std::bad_alloc&) {
  }
}

/// The same for tasks that nobody waits for.
void bear_detached(std::exception_ptr exception) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const std::bad_alloc&) {
  } catch (...) {
    std::abort();
  }
}

// ---- a server and its clients ----

Task<bool> send_text(TcpStream& stream, std::span<const std::byte> bytes, bool without_a_copy) {
  if (!without_a_copy) {
    const Result<void> sent = co_await stream.write_all(bytes);
    co_return sent.has_value();
  }
  while (!bytes.empty()) {
    const auto sent = co_await async_send_zc(stream.fd(), bytes);
    if (!sent) co_return false;
    bytes = bytes.subspan(sent->bytes);
  }
  co_return true;
}

Task<bool> talk_once(Program& program, TcpStream& stream, std::uint8_t round) {
  std::array<std::uint8_t, 200> text;
  text.fill(round);
  const auto bytes = std::as_bytes(std::span(text)).first(1 + program.world.draw(text.size()));
  const bool is_sent = co_await send_text(stream, bytes, program.world.draw(4) == 0);
  if (!is_sent) co_return false;
  std::array<std::byte, 200> buffer;
  for (std::size_t got = 0; got < bytes.size();) {
    const Result<std::size_t> some = co_await with_timeout(20s, stream.read(buffer));
    if (!some || *some == 0) co_return false;
    for (std::size_t i = 0; i < *some; ++i)
      program.expect(buffer[i] == std::byte{round}, "an echo is not what was sent");
    got += *some;
    program.expect(got <= bytes.size(), "an echo is longer than what was sent");
  }
  co_return true;
}

Task<void> client(Program& program) {
  Result<TcpStream> stream = co_await with_timeout(10s, TcpStream::connect(program.server));
  if (!stream) co_return;
  const std::uint64_t rounds = 6 + program.world.draw(8);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const bool goes_on = co_await talk_once(program, *stream, static_cast<std::uint8_t>(round));
    if (!goes_on) break;
  }
  (void)co_await stream->close();
}

// ---- pipes and channels ----

Task<void> fill_pipe(Program& program, PipeWriter writer) {
  std::array<std::uint8_t, 300> numbers;
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint8_t>(i);
  const std::uint64_t times = 1 + program.world.draw(10);
  for (std::uint64_t i = 0; i < times; ++i) {
    const Result<void> written = co_await writer.write_all(std::as_bytes(std::span(numbers)));
    if (!written) break;
  }
  (void)co_await writer.close();
}

Task<void> empty_pipe(Program& program) {
  Result<Pipe> pipe = Pipe::create();
  if (!pipe) co_return;
  auto filling = program.some_worker().spawn(fill_pipe(program, std::move(pipe->writer)));
  if (!filling) co_return;
  std::array<std::byte, 128> buffer;
  for (std::size_t at = 0;;) {
    const Result<std::size_t> got = co_await pipe->reader.read(buffer);
    if (!got || *got == 0) break;
    for (std::size_t i = 0; i < *got; ++i, ++at)
      program.expect(buffer[i] == static_cast<std::byte>(at % 300), "a pipe has lost or changed a byte");
  }
  (void)co_await pipe->reader.close();
  co_await std::move(*filling);
}

Task<void> fill_channel(SharedChannel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await channel.send(i);
    if (!sent) break;
  }
  channel.close();
}

Task<void> empty_channel(Program& program) {
  SharedChannel<int> channel(1 + program.world.draw(4));
  auto filling = program.some_worker().spawn(fill_channel(channel, 15));
  if (!filling) co_return;
  for (int expected = 0;; ++expected) {
    const auto got = co_await channel.receive();
    if (!got) break;
    program.expect(*got == expected, "a channel has changed the order");
  }
  channel.close();
  co_await std::move(*filling);
}

// ---- buffers that the kernel chooses ----

Task<void> sends_all(UnixStream to) {
  for (std::uint8_t i = 0; i < 20; ++i) {
    const std::array<std::uint8_t, 50> numbers = [i] {
      std::array<std::uint8_t, 50> all{};
      all.fill(i);
      return all;
    }();
    const Result<void> sent = co_await to.write_all(std::as_bytes(std::span(numbers)));
    if (!sent) break;
  }
  (void)co_await to.close();
}

Task<void> receives_many(Program& program) {
  auto pair = UnixStream::pair();
  if (!pair) co_return;
  auto sending = spawn(sends_all(std::move(pair->first)));
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  if (pool) {
    RecvStream stream(pair->second.fd(), *pool);
    for (std::byte newest{};;) {
      const auto got = co_await stream.next();
      if (!got) break;
      for (const std::byte one : got->bytes()) {
        program.expect(one >= newest, "a stream of receives has changed the order");
        newest = one;
      }
    }
  }
  (void)co_await pair->second.close();
  co_await std::move(sending);
}

// ---- files and datagrams ----

Task<void> use_file(Program& program) {
  Result<File> file = co_await File::create("/tmp/file" + std::to_string(program.world.draw(1'000'000'000)));
  if (!file) co_return;
  for (std::uint64_t i = 0; i < 8; ++i) {
    const std::string text(1 + program.world.draw(900), static_cast<char>('a' + i));
    const Result<void> written = co_await file->write_all_at(text, i * 1000);
    if (!written) break;
    std::string back(text.size(), '?');
    const Result<void> got = co_await file->read_exact_at(std::as_writable_bytes(std::span(back)), i * 1000);
    program.expect(!got || back == text, "a file has not what was written");
    if (program.world.draw(2) == 0) (void)co_await async_fsync(file->fd());
  }
  (void)co_await file->close();
}

Task<void> use_datagrams() {
  Result<UdpSocket> ours = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> theirs = UdpSocket::bind(Address::loopback(0));
  if (!ours || !theirs) co_return;
  const Result<Address> there = theirs->local_address();
  for (int i = 0; i < 8 && there; ++i) {
    std::array<std::byte, 32> text{};
    (void)co_await ours->send_to(text, *there);
    const auto got = co_await with_timeout(100ms, theirs->receive_from(text));
    if (!got && is_cancellation(got.error()) && got.error() != std::errc::timed_out) break;
  }
}

// ---- tasks that are cancelled ----

Task<void> waits_for_something(Program& program, int end) {
  std::array<std::byte, 8> buffer;
  const std::uint64_t kind = program.world.draw(4);
  if (kind == 0) (void)co_await async_read(end, buffer, current_position);
  if (kind == 1) (void)co_await async_poll(end, POLLIN);
  if (kind == 2) (void)co_await async_timeout(1h);
  if (kind == 3) (void)co_await with_timeout(program.some_time(), async_read(end, buffer, current_position));
}

Task<void> cancels(Program& program) {
  Result<Pipe> pipe = Pipe::create();
  if (!pipe) co_return;
  std::vector<JoinHandle<void>> waiting;
  for (std::uint64_t i = 0; i < 8; ++i) {
    try {
      auto one = program.some_worker().spawn(bears(waits_for_something(program, pipe->reader.fd().get())));
      if (one) waiting.push_back(std::move(*one));
    } catch (const std::bad_alloc&) {
    }
  }
  (void)co_await sleep_for(program.some_time());
  for (JoinHandle<void>& one : waiting) one.request_cancel();
  for (JoinHandle<void>& one : waiting) co_await std::move(one);
}

Task<void> races(Program& program) {
  for (int i = 0; i < 5; ++i) {
    Event never;
    (void)co_await when_any(sleep_for(program.some_time()), sleep_for(program.some_time()), never.wait());
    (void)co_await async_nop();
  }
}

// ---- all of it ----

std::vector<JoinHandle<void>> start_all(Program& program) {
  std::vector<JoinHandle<void>> parts;
  const auto start = [&](Task<void> part) {
    auto started = program.some_worker().spawn(bears(std::move(part)));
    if (started) parts.push_back(std::move(*started));
  };
  for (int i = 0; i < 5; ++i) start(client(program));
  start(empty_pipe(program));
  start(empty_channel(program));
  start(use_file(program));
  start(use_datagrams());
  start(receives_many(program));
  start(cancels(program));
  start(cancels(program));
  start(races(program));
  start(some_machine_part(program));
  // Not all of the hard ones each time, so that a seed is soon over. Where there may be no memory, what they
  // share could go before who uses it.
  if (program.world.report().faults[sim::Fault::no_memory].one_in != 0) return parts;
  for (int i = 0; i < 4; ++i) start(some_hard_part(program));
  return parts;
}

void run_all(Program& program) {
  std::optional<TcpServer> running;
  ServeOptions options;
  options.on_accept_error = [](const std::error_code&) {};
  options.policy = program.world.draw(2) == 0 ? AcceptPolicy::round_robin : AcceptPolicy::reuse_port;
  Result<TcpServer> server = serve(program.world.pool(), Address::loopback(0), echo, options);
  program.server = server ? server->address() : Address::loopback(1);
  constexpr std::uint64_t least_operations = 300;
  for (int round = 0; round < 20 && program.world.operations() < least_operations; ++round) {
    for (JoinHandle<void>& part : start_all(program)) sync_wait(std::move(part));
  }
  if (server) server->stop_accepting();
  leave_some_behind(program);
}

}  // namespace

sim::RunReport run_scenario(const sim::WorldOptions& wanted) {
  set_detached_exception_handler(bear_detached);
  sim::Disk disk;
  sim::WorldOptions options = wanted;
  options.disk = &disk;
  int stuck = 0;
  options.worker.on_stuck = [&stuck](const TaskDump&) { ++stuck; };
  sim::World world(options);
  set_up_machine(world);
  Program program{.world = world, .mistake = {}, .server = Address::loopback(1), .main_ended = {}};
  sim::RunReport report = world.run([&program] { run_all(program); });
  program.expect(!program.is_late(program.main_ended), "a stop has not ended what was there");
  program.expect(program.leaves_protected || stuck == 0,
                 "a stop has not ended at once what no shield protects");
  if (report.failure.empty()) report.failure = program.mistake;
  (void)disk.crash(options.seed, report.faults);
  return report;
}

sim::WorldOptions options_of(std::uint64_t seed) {
  return {.seed = seed, .workers = 2, .faults = sim::Faults::swarm(seed).with_no_memory(seed)};
}

}  // namespace corering::sim_test
