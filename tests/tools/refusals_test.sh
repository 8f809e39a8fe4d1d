#!/usr/bin/env bash
# refusals_test.sh — what the library refuses when a program is compiled, and the words in which it does.
# Usage: refusals_test.sh SOURCE_DIRECTORY LIBRARY COMPILER
set -euo pipefail
source_dir=$1 library=$2 compiler=$3
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap 'rm -rf "$dir"' EXIT
flags=(-std=c++23 -O1 -I "$source_dir/include")

# refused TEXT reads a program, which must not compile, and TEXT must be in what the compiler says.
refused() {
  { echo '#include <corering/corering.hpp>'; echo 'using namespace corering;'; cat; } > "$dir/refused.cpp"
  expect 1 "$1" "$compiler" "${flags[@]}" -fsyntax-only "$dir/refused.cpp"
}

large='struct alignas(64) Large { char bytes[64]; };'
refused "a coroutine's frame cannot align this type" <<< "$large Task<Large> returns() { co_return Large(); }"
refused "a coroutine's frame cannot align this type" <<< "$large AsyncGenerator<Large> yields() { co_yield Large(); }"
refused "a coroutine's frame cannot align this type" <<< "$large Channel<Large> carries(1);"
refused "a coroutine's frame cannot align this type" <<< "$large Task<void> runs(BlockingPool& pool) {
  const auto work = [] { return Large(); };
  (void)co_await offload(pool, work);
}"
throwing='struct Throwing { Throwing() = default; Throwing(Throwing&&) noexcept(false) {} };'
for channel in Channel SharedChannel; do
  refused "a channel's values must have a move constructor and a destructor that are noexcept" \
    <<< "$throwing $channel<Throwing> carries(1);"
done

# With the option of clang nothing is refused for its alignment, and everything is aligned.
if "$compiler" --version | found clang; then
  cat > "$dir/aligned.cpp" <<'END'
#include <corering/corering.hpp>
#include <cstdint>
#include <cstdio>
using namespace corering;
struct alignas(64) Large {
  Large() noexcept { check(); }
  Large(const Large&) noexcept { check(); }
  void check() const noexcept {
    auto address = reinterpret_cast<std::uintptr_t>(this);
    __asm__("" : "+r"(address));
    if (address % 64 != 0) ++misaligned;
  }
  static inline int misaligned = 0;
  char bytes[64];
};
Task<Large> returns() { const Large local; (void)co_await async_nop(); local.check(); co_return local; }
Task<void> everything() {
  for (int i = 0; i < 20; ++i) {
    const Large awaited = co_await returns();
    JoinHandle<Large> handle = spawn(returns());
    const Large joined = co_await std::move(handle);
    const auto both = co_await when_all(returns(), returns());
    const auto body = [](TaskGroup& group) -> Task<void> { group.spawn(returns()); co_return; };
    (void)co_await with_group(body);
    awaited.check(), joined.check(), std::get<0>(both).check();
  }
}
int main() {
  if (!run(everything())) return 2;
  std::printf("misaligned: %d\n", Large::misaligned);
}
END
  "$compiler" "${flags[@]}" -fcoro-aligned-allocation -DCORERING_ALIGNED_FRAMES "$dir/aligned.cpp" "$library" -luring -pthread \
    -o "$dir/aligned"
  expect 0 "misaligned: 0" "$dir/aligned"
fi
echo "ok"
