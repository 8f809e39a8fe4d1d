/// serve.cpp — accepting on one worker or on all, and handing connections over.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <string>
#include <unistd.h>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/sync_wait.hpp>
#include <corering/engine/here.hpp>
#include <corering/net/serve.hpp>
#include <corering/sync/sleep.hpp>

namespace corering {

struct TcpServer::State {
  State(WorkerPool& pool, ConnectionHandler handler, const ServeOptions& options)
      : pool(pool),
        handler(std::move(handler)),
        policy(options.policy),
        on_accept_error(options.on_accept_error),
        counts(pool.size()) {}

  /// Counts the connections of one worker, on its own cache line.
  struct alignas(64) Counts {
    std::atomic<std::size_t> open = 0;
    std::atomic<std::size_t> total = 0;
    std::atomic<bool> refuses = false;  ///< the worker is stopping
  };

  WorkerPool& pool;
  const ConnectionHandler handler;
  const AcceptPolicy policy;
  const std::function<void(const std::error_code&)> on_accept_error;
  Address address;
  std::vector<Counts> counts;
  std::size_t next = 0;  // used by the acceptor only
  std::vector<JoinHandle<void>> accepting;

  /// Returns the worker that will serve the next connection. It is one that refuses only if all of them do.
  std::size_t choose(std::size_t acceptor) noexcept {
    if (policy == AcceptPolicy::reuse_port) return acceptor;
    if (policy == AcceptPolicy::round_robin) {
      for (std::size_t skipped = 0; skipped < counts.size() && refuses(next % counts.size()); ++skipped)
        ++next;
      return next++ % counts.size();
    }
    const auto fewest = std::ranges::min_element(counts, {}, [](const Counts& one) {
      return std::pair(one.refuses.load(std::memory_order_relaxed), one.open.load(std::memory_order_relaxed));
    });
    return static_cast<std::size_t>(fewest - counts.begin());
  }

  [[nodiscard]] bool refuses(std::size_t index) const noexcept {
    return counts[index].refuses.load(std::memory_order_relaxed);
  }

  /// Says why no more connections come in. This is what nobody would notice otherwise.
  void report(const std::error_code& error) const {
    if (on_accept_error) return on_accept_error(error);
    const std::string text =
        "corering: a server no longer accepts at " + address.to_string() + ": " + error.message() + "\n";
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  }
};

namespace {

using State = TcpServer::State;

/// Counts a connection for as long as it lives.
class Counted {
 public:
  explicit Counted(State::Counts& counts) noexcept : counts_(counts) {}
  Counted(Counted&&) = delete;
  ~Counted() {
    const std::size_t before = counts_.open.fetch_sub(1, std::memory_order_relaxed);
    CORERING_ASSERT(before > 0, "a connection that ends was counted as open");
  }

 private:
  State::Counts& counts_;
};

/// Owns the socket from when it runs.
Task<void> serve_one(std::shared_ptr<State> state, std::size_t index, int socket) {
  TcpStream stream{Fd(socket)};
  const Counted counted(state->counts[index]);
  co_await state->handler(std::move(stream));
}

void uncount(State::Counts& counts) noexcept {
  counts.open.fetch_sub(1, std::memory_order_relaxed);
  counts.total.fetch_sub(1, std::memory_order_relaxed);
}

/// Returns false if that worker is stopping. Then nothing has happened.
bool hand_over(const std::shared_ptr<State>& state, std::size_t index, TcpStream& stream) {
  CORERING_ASSERT(index < state->counts.size() && stream.is_open(), "an open connection goes to a worker");
  State::Counts& counts = state->counts[index];
  Task<void> serving = serve_one(state, index, stream.fd().get());
  // It is counted before it is handed over, because the next choice has to see it.
  counts.open.fetch_add(1, std::memory_order_relaxed);
  counts.total.fetch_add(1, std::memory_order_relaxed);
  Result<JoinHandle<void>> served = failure(ENOMEM);
  try {
    served = state->pool[index].spawn(std::move(serving));
  } catch (const std::bad_alloc&) {
    uncount(counts);
    throw;
  }
  if (!served) {
    uncount(counts);
    counts.refuses.store(true, std::memory_order_relaxed);
    return false;
  }
  (void)stream.release().release();
  served->detach();
  return true;
}

/// Returns false if all workers are stopping.
bool hand_over_to_anyone(const std::shared_ptr<State>& state, std::size_t acceptor, TcpStream stream) try {
  for (;;) {
    const std::size_t index = state->choose(acceptor);
    if (state->refuses(index)) return false;
    if (hand_over(state, index, stream)) return true;
  }
} catch (const std::bad_alloc&) {
  return true;  // this connection is closed, and the next one may find memory
}

constexpr Duration without_memory = std::chrono::milliseconds(20);

/// Errors that pass by themselves do not come out of accept().
Task<void> accept_connections(std::shared_ptr<State> state, std::size_t index, TcpListener listener) {
  for (;;) {
    Result<TcpStream> stream = failure(ENOMEM);
    try {
      stream = co_await listener.accept();
    } catch (const std::bad_alloc&) {
    }
    if (!stream && stream.error() == std::errc::not_enough_memory) {
      (void)co_await sleep_for(without_memory);  // the listener stays open: soon there may be some
      continue;
    }
    if (!stream && !is_cancellation(stream.error())) state->report(stream.error());
    if (!stream || !hand_over_to_anyone(state, index, std::move(*stream))) break;
  }
  // With SO_REUSEPORT a socket that stayed open would still get its share of the connections.
  // Without memory to wait for the close, its destructor closes it.
  try {
    (void)co_await listener.close();
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

TcpServer::TcpServer(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
TcpServer::TcpServer(TcpServer&&) noexcept = default;
TcpServer& TcpServer::operator=(TcpServer&& other) noexcept {
  TcpServer taken(std::move(other));
  std::swap(state_, taken.state_);
  return *this;
}
TcpServer::~TcpServer() {
  if (state_ == nullptr) return;
  if (here::loop() == nullptr) {
    stop_accepting();
    return;
  }
  for (JoinHandle<void>& one : state_->accepting) one.request_cancel();  // a worker cannot wait for itself
  state_->accepting.clear();
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
  auto state = std::make_shared<State>(pool, std::move(handler), options);
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
