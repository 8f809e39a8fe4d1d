/// nop.cpp — how long a nop takes in this build of the library. It is built with the trace and without it.
///
/// Usage: nop_traced | nop_untraced DEPTH COUNT; prints nanoseconds.
#include <charconv>
#include <cstdio>
#include <cstring>

#include "our_side.hpp"

namespace {

using namespace corering;

std::size_t number(const char* text) {
  std::size_t value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

Task<void> nops(std::uint64_t& left) {
  while (left > 0) {
    --left;
    bench::check(co_await async_nop());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t depth = argc == 3 ? number(argv[1]) : 0;
  const std::size_t count = argc == 3 ? number(argv[2]) : 0;
  if (depth == 0 || count == 0) return std::fputs("usage: nop DEPTH COUNT\n", stderr), 2;
  std::uint64_t left = count;
  const auto make = [&left](unsigned) { return nops(left); };
  const double elapsed = bench::measure_one(
      [&](double& into) { return bench::run_side_by_side(static_cast<unsigned>(depth), make, into); });
  std::printf("%.3f\n", elapsed / static_cast<double>(count));
  return 0;
}
