/// probed_program.cpp — makes NOPS nops and SLEEPS sleeps, an open that fails and a stall, for who looks on.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;

namespace {

void stall() {
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < 40ms) {
  }
}

Task<void> work(int nops, int sleeps) {
  for (int i = 0; i < nops; ++i) (void)co_await async_nop();
  for (int i = 0; i < sleeps; ++i) (void)co_await sleep_for(1ms);
  (void)co_await async_openat(AT_FDCWD, "/no/such/file", O_RDONLY);  // it fails
  stall();
  (void)co_await async_nop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: probed_program NOPS SLEEPS\n", stderr), 2;
  return run(work(std::atoi(argv[1]) - 1, std::atoi(argv[2]))) ? 0 : 1;
}
