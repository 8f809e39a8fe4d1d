/// server.hpp — an echo server on two workers, whose buffers come from a pool on each of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <corering/corering.hpp>

namespace corering::soak {

struct PoolUse {
  std::uint64_t lent = 0;
  std::uint64_t in_kernel = 0;
};

/// thread: not a worker
class Server {
 public:
  static constexpr std::size_t workers = 2;

  Server();
  Server(Server&&) = delete;
  ~Server();

  [[nodiscard]] WorkerPool& pool() noexcept { return pool_; }
  /// Returns one of many addresses of this server: so clients do not run out of ports.
  [[nodiscard]] Address address(std::uint64_t number) const;
  [[nodiscard]] std::uint64_t open_connections() const noexcept;
  [[nodiscard]] PoolUse pool_use();
  [[nodiscard]] std::uint64_t echoed_bytes() const noexcept { return echoed_; }

 private:
  Task<void> makes_pool(std::size_t index);
  Task<void> drops_pool(std::size_t index);
  Task<void> adds_use(std::size_t index, PoolUse& use);
  Task<void> serves(TcpStream stream);
  Task<Result<void>> echoes_once(TcpStream& stream, BufferPool& buffers);

  WorkerPool pool_{{.workers = workers}};
  std::array<std::optional<BufferPool>, workers> buffers_;
  std::atomic<std::uint64_t> echoed_ = 0;
  std::optional<TcpServer> server_;
};

}  // namespace corering::soak
