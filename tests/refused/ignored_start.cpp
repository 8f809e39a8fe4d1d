/// ignored_start.cpp — a worker whose start nobody has looked at: if it failed, waiting for it never ends.
// refused: nodiscard
#include <corering/core/worker.hpp>

void starts_somehow(corering::Worker& worker) { worker.start(); }
