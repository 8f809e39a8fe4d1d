/// handler_of_serve.cpp — a handler of connections that is not a task.
// refused: a connection's handler returns Task<void> or Task<Result<void>>
#include <corering/net/serve.hpp>

int answers(corering::TcpStream) { return 0; }
void serves(corering::WorkerPool& pool) {
  (void)corering::serve(pool, corering::Address::loopback(0), answers);
}
