/// in_asio.cpp — an echo server of corering as a guest in Asio's event loop. Asio itself answers on a second
/// port how many bytes were echoed, and waits for Ctrl-C and SIGTERM.
#include <array>
#include <asio.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <corering/corering.hpp>

#include "counting_echo.hpp"

using namespace corering;

long turns = 0;

/// Gives the worker a turn whenever it has something to do. When it has ended, Asio's loop ends, too.
class Guest {
 public:
  Guest(asio::io_context& loop, Worker& worker, int descriptor)
      : loop_(loop), worker_(worker), watched_(loop, descriptor) {
    wait();
  }
  Guest(Guest&&) = delete;
  ~Guest() { watched_.release(); }  // the worker closes it

 private:
  void wait() {
    watched_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
      ++turns;
      const Result<bool> goes_on = error ? Result<bool>(false) : worker_.turn();
      goes_on && *goes_on ? wait() : loop_.stop();
    });
  }

  asio::io_context& loop_;
  Worker& worker_;
  asio::posix::stream_descriptor watched_;
};

/// Tells each client of Asio's own server how much was echoed.
void tell_clients(asio::ip::tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](const asio::error_code& error, asio::ip::tcp::socket socket) {
    if (error) return;
    const auto client = std::make_shared<asio::ip::tcp::socket>(std::move(socket));
    const auto text = std::make_shared<std::string>(std::to_string(echoed) + " bytes echoed in " +
                                                    std::to_string(turns) + " turns\n");
    asio::async_write(*client, asio::buffer(*text), [client, text](const asio::error_code&, std::size_t) {});
    tell_clients(acceptor);
  });
}

template <class T>
T value_of(Result<T> result, const char* what) {
  if (!result) throw std::system_error(result.error(), what);
  return std::move(*result);
}

int main(int argc, char** argv) try {
  const Result<Address> ours = Address::parse("127.0.0.1", argc == 3 ? argv[1] : "");
  const Result<Address> theirs = Address::parse("127.0.0.1", argc == 3 ? argv[2] : "");
  if (!ours || !theirs || ours->port() == 0 || theirs->port() == 0)
    return std::fputs("usage: in_asio PORT PORT-OF-ASIO (1 to 65535)\n", stderr), 2;
  asio::io_context loop(1);
  asio::ip::tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), theirs->port()});
  TcpListener listener = value_of(TcpListener::bind(*ours), "cannot listen");
  Worker worker;
  const Guest guest(loop, worker, value_of(worker.descriptor(), "the worker cannot be set up"));
  worker.spawn(serve(std::move(listener))).value().detach();
  tell_clients(acceptor);
  asio::signal_set stop(loop, SIGINT, SIGTERM);
  stop.async_wait([&worker](const asio::error_code& error, int) {
    if (!error) worker.request_stop();
  });
  loop.run();
  return 0;
} catch (const std::exception& error) {
  return std::fprintf(stderr, "in_asio: %s\n", error.what()), 1;
}
