/// server.cpp — the echo, and what it does when the other side is hostile.
#include "soak/server.hpp"

#include <cstdio>
#include <cstdlib>

#include "soak/usage.hpp"

namespace corering::soak {
namespace {

using namespace std::chrono_literals;

template <class T>
T must(Result<T> result, const char* what) {
  if (result) return std::move(*result);
  std::printf("soak: %s: %s\n", what, result.error().message().c_str());
  std::exit(1);
}

}  // namespace

Server::Server() {
  if (const Result<void> started = pool_.start(); !started) {
    std::printf("soak: %s\n", started.error().message().c_str());
    std::exit(1);
  }
  for (std::size_t i = 0; i < workers; ++i) sync_wait(pool_[i].spawn(makes_pool(i)).value());
  server_.emplace(must(serve(pool_, must(Address::parse("0.0.0.0:0"), "address"),
                             [this](TcpStream stream) { return serves(std::move(stream)); }),
                       "serve"));
}

Server::~Server() {
  server_.reset();
  for (std::size_t i = 0; i < workers; ++i) sync_wait(pool_[i].spawn(drops_pool(i)).value());
}

Task<void> Server::makes_pool(std::size_t index) {
  buffers_[index].emplace(must(BufferPool::create({.count = 256, .size = 4096}), "buffer pool"));
  co_return;
}

Task<void> Server::drops_pool(std::size_t index) {
  buffers_[index].reset();
  co_return;
}

Task<void> Server::adds_use(std::size_t index, PoolUse& use) {
  use.lent += buffers_[index]->lent();
  use.in_kernel += buffers_[index]->in_kernel();
  co_return;
}

PoolUse Server::pool_use() {
  PoolUse use;
  for (std::size_t i = 0; i < workers; ++i) sync_wait(pool_[i].spawn(adds_use(i, use)).value());
  return use;
}

Address Server::address(std::uint64_t number) const {
  const std::string host = "127.0.0." + std::to_string(1 + number % 32);
  return must(Address::parse(host + ":" + std::to_string(server_->address().port())), "address");
}

std::uint64_t Server::open_connections() const noexcept {
  std::uint64_t open = 0;
  for (std::size_t i = 0; i < workers; ++i) open += server_->open_connections(i);
  return open;
}

// A peer that does not take its answer within two seconds is given up. Until it sends, it may take its time.
Task<Result<void>> Server::echoes_once(TcpStream& stream, BufferPool& buffers) {
  const CountedFrame counted;
  Result<LentBuffer> piece = co_await stream.read(buffers);
  if (!piece && piece.error() == std::errc::no_buffer_space) {
    const Result<void> there = co_await buffers.wait_for_buffer();
    co_return there;
  }
  if (!piece) co_return std::unexpected(piece.error());
  if (piece->size() == 0) co_return failure(ENOTCONN);
  echoed_.fetch_add(piece->size(), std::memory_order_relaxed);
  const Result<void> sent = co_await with_timeout(2s, stream.write_all(piece->bytes()));
  co_return sent;
}

Task<void> Server::serves(TcpStream stream) {
  const CountedFrame counted;
  BufferPool& buffers = *buffers_[Worker::current() == &pool_[0] ? 0 : 1];
  for (;;) {
    const Result<void> echoed = co_await echoes_once(stream, buffers);
    if (!echoed) break;
  }
  (void)co_await stream.close();
}

}  // namespace corering::soak
