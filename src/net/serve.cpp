/// serve.cpp — accepting on one worker or on all, and handing connections over.
#include <algorithm>
#include <atomic>
#include <cerrno>

#include <corering/base/assert.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/sync_wait.hpp>
#include <corering/net/serve.hpp>
#include <corering/sync/sleep.hpp>

namespace corering {

struct TcpServer::State {
  State(WorkerPool& pool, ConnectionHandler handler, AcceptPolicy policy)
      : pool(pool), handler(std::move(handler)), policy(policy), counts(pool.size()) {}

  /// Counts the connections of one worker, on its own cache line.
  struct alignas(64) Counts {
    std::atomic<std::size_t> open = 0;
    std::atomic<std::size_t> total = 0;
  };

  WorkerPool& pool;
  const ConnectionHandler handler;
  const AcceptPolicy policy;
  Address address;
  std::vector<Counts> counts;
  std::size_t next = 0;  // used by the acceptor only
  std::vector<JoinHandle<void>> accepting;

  /// Returns the worker that will serve the next connection.
  std::size_t choose(std::size_t acceptor) noexcept {
    if (policy == AcceptPolicy::reuse_port) return acceptor;
    if (policy == AcceptPolicy::round_robin) return next++ % counts.size();
    const auto fewest = std::ranges::min_element(
        counts, {}, [](const Counts& one) { return one.open.load(std::memory_order_relaxed); });
    return static_cast<std::size_t>(fewest - counts.begin());
  }
};

namespace {

using State = TcpServer::State;

/// Counts a connection for as long as it lives.
class Counted {
 public:
  explicit Counted(State::Counts& counts) noexcept : counts_(counts) {}
  Counted(Counted&&) = delete;
  ~Counted() { counts_.open.fetch_sub(1, std::memory_order_relaxed); }

 private:
  State::Counts& counts_;
};

Task<void> serve_one(std::shared_ptr<State> state, std::size_t index, TcpStream stream) {
  const Counted counted(state->counts[index]);
  co_await state->handler(std::move(stream));
}

void hand_over(const std::shared_ptr<State>& state, std::size_t index, TcpStream stream) {
  // It is counted before it is handed over, because the next choice has to see it.
  state->counts[index].open.fetch_add(1, std::memory_order_relaxed);
  state->counts[index].total.fetch_add(1, std::memory_order_relaxed);
  Result<JoinHandle<void>> serving = state->pool[index].spawn(serve_one(state, index, std::move(stream)));
  if (serving) {
    serving->detach();
  } else {
    state->counts[index].open.fetch_sub(1, std::memory_order_relaxed);  // that worker is stopping
  }
}

Task<void> accept_connections(std::shared_ptr<State> state, std::size_t index, TcpListener listener) {
  for (;;) {
    Result<TcpStream> stream = co_await listener.accept();
    if (!stream) break;
    hand_over(state, state->choose(index), std::move(*stream));
  }
  (void)co_await listener.close();
}

}  // namespace

TcpServer::TcpServer(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
TcpServer::TcpServer(TcpServer&&) noexcept = default;
TcpServer& TcpServer::operator=(TcpServer&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
TcpServer::~TcpServer() {
  if (state_ != nullptr) stop_accepting();
}

const Address& TcpServer::address() const noexcept { return state_->address; }
std::size_t TcpServer::open_connections(std::size_t index) const noexcept {
  return state_->counts[index].open.load(std::memory_order_relaxed);
}
std::size_t TcpServer::total_connections(std::size_t index) const noexcept {
  return state_->counts[index].total.load(std::memory_order_relaxed);
}

void TcpServer::stop_accepting() {
  for (JoinHandle<void>& one : state_->accepting) one.request_cancel();
  for (JoinHandle<void>& one : state_->accepting) sync_wait(std::move(one));
  state_->accepting.clear();
}

Result<TcpServer> serve(WorkerPool& pool, const Address& address, ConnectionHandler handler,
                        const ServeOptions& options) {
  for (std::size_t i = 0; i < pool.size(); ++i) {
    CORERING_ASSERT(pool[i].setup_flags() != 0, "serve() needs running workers: start() the pool first");
  }
  auto state = std::make_shared<State>(pool, std::move(handler), options.policy);
  TcpServer server(state);
  const bool everywhere = options.policy == AcceptPolicy::reuse_port;
  ListenOptions listen = options.listen;
  listen.reuse_port |= everywhere;
  // All are bound before the first one accepts, so that an error leaves nothing running.
  std::vector<TcpListener> listeners;
  state->address = address;
  if (everywhere && !options.listen.reuse_port) {
    // With SO_REUSEPORT, another program's group of sockets would let us in silently. So this binds once
    // without it.
    const Result<TcpListener> alone = TcpListener::bind(address, options.listen);
    if (!alone) return std::unexpected(alone.error());
    state->address = alone->local_address().value_or(address);
  }
  for (std::size_t i = 0; i < (everywhere ? pool.size() : 1); ++i) {
    Result<TcpListener> listener = TcpListener::bind(state->address, listen);
    if (!listener) return std::unexpected(listener.error());
    const Result<Address> bound = listener->local_address();
    if (!bound) return std::unexpected(bound.error());
    state->address = *bound;  // with the port that was chosen for 0
    listeners.push_back(std::move(*listener));
  }
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    auto accepting = pool[i].spawn(accept_connections(state, i, std::move(listeners[i])));
    if (!accepting) return std::unexpected(accepting.error());
    state->accepting.push_back(std::move(*accepting));
  }
  return server;
}

}  // namespace corering
