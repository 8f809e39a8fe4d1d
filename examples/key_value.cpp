/// key_value.cpp — key_value DIRECTORY [KEY [VALUE]]: prints all values, prints one, or puts one.
#include <cstdio>
#include <string>
#include <utility>

#include "key_value_store.hpp"

using namespace corering;

static Task<int> use_store(std::string directory, std::string key, std::string value) {
  auto store = co_await KeyValueStore<>::open(directory);
  if (!store)
    co_return std::fprintf(stderr, "%s: %s\n", directory.c_str(), store.error().message().c_str()), 1;
  if (!value.empty()) {
    const Result<void> put = co_await store->put(key, value);
    if (!put) co_return std::fprintf(stderr, "%s: %s\n", key.c_str(), put.error().message().c_str()), 1;
  }
  bool is_there = key.empty();
  for (const auto& [name, text] : store->values()) {
    if (!key.empty() && name != key) continue;
    is_there = true;
    std::printf("%s %s\n", name.c_str(), text.c_str());
  }
  co_return is_there ? 0 : (std::fprintf(stderr, "%s: no such key\n", key.c_str()), 1);
}

int main(int count, char** arguments) {
  if (count < 2 || count > 4) return std::fputs("usage: key_value DIRECTORY [KEY [VALUE]]\n", stderr), 2;
  const Result<int> code =
      run(use_store(arguments[1], count > 2 ? arguments[2] : "", count > 3 ? arguments[3] : ""));
  if (!code) std::fprintf(stderr, "key_value: %s\n", code.error().message().c_str());
  return code.value_or(1);
}
