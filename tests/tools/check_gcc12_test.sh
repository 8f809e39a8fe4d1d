#!/usr/bin/env bash
# check_gcc12_test.sh CHECKER SOURCES: the checker finds each pattern that it says it finds, and nothing in what is mended.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
source "$(dirname "$0")/support.sh"
checker=$1 sources=$2

# A number in brackets at the end of a line: that pattern must be found there, and no other.
cat > "$dir/wrong.cpp" << 'END'
Task<void> wrong(std::string text) {
  co_await f(Aggregate{.name = text});                                  // [1]
  co_await f({.name = text, .size = 1});                                // [1]
  co_await with_group([text](TaskGroup& group) -> Task<void> {          // [1]
    const auto plain = co_await f(text);
    if (co_await g()) co_return;                                        // [5]
  });
  co_await f([=] { return text; });                                     // [1]
  co_await f([text = std::move(text)]() mutable { return text; });      // [1]
  co_yield Entry{.path = text};                                         // [1]
  const auto a = flag ? co_await f(text) : std::string();               // [2]
  const auto b = flag ? std::string()
                      : co_await f(text);                               // [2]
  const Pair c{co_await f(text), co_await g()};                         // [3]
  const auto d = co_await Child::spawn({"sleep", "1000"});              // [4]
  const auto e = co_await f(std::vector<std::string>{"one", "two"});    // [4]
  if (co_await g()) return;                                             // [5]
  while ((x = co_await f(text)) > 0) {                                  // [5]
    ++y;
  }
}
END
cat > "$dir/right.cpp" << 'END'
// co_await f(Aggregate{.name = text}); stands in a comment
Task<void> right(std::string text) {
  const Aggregate named{.name = text};
  co_await f(named);
  co_await with_group([&](TaskGroup& group) -> Task<void> {
    const std::vector<int> numbers{1, 2, 3};
    const auto got = co_await f(numbers[0]);
    if (!got) co_return;
  });
  auto body = [text](TaskGroup& group) -> Task<void> { co_return; };
  co_await with_group(std::move(body));
  std::string a;
  if (flag) a = co_await f("if (co_await g()) { co_await f({\"x\"}); }");
  const auto b = co_await f(list[0], [this] { return 1; });
  const auto c = co_await f(Aggregate{.name = text});  // gcc12: fine
  const std::vector<std::string> words = {"sleep", "1000"};
  const auto d = co_await Child::spawn(words);
  for (const char letter : {'a', '\'', '"'}) co_await f(letter);
}
class Thing {
  Thing() : a_{1}, b_(2) {}
  int a_ = flag ? 1 : 2;
};
END

grep -n '// \[' "$dir/wrong.cpp" | sed -E 's|^([0-9]+):.*// (\[.\])$|\1 \2|' > "$dir/wanted"
"$checker" "$dir/wrong.cpp" > "$dir/out" && fail "nothing was found"
sed -E 's|^[^:]*:([0-9]+): (\[.\]).*|\1 \2|' "$dir/out" > "$dir/found"
diff "$dir/wanted" "$dir/found" > "$dir/log" || fail "what is wrong (<) is not what was found (>)"
for number in 1 2 3 4 5; do grep -q "\[$number\]" "$dir/found" || fail "pattern $number of docs/STYLE.md was not tried"; done
"$checker" "$dir/right.cpp" > "$dir/log" || fail "something was found where nothing is"
expect 2 "usage" "$checker"
expect 2 "No such file" "$checker" "$dir/none.cpp"
# The library keeps its own rules.
"$checker" "$sources/include" "$sources/src" "$sources/examples" > "$dir/log" || fail "the library does what it forbids"
