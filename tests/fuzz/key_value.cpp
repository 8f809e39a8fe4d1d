/// key_value.cpp — any bytes are the log that a crash has left: the store opens, keeps what it has read, and
/// takes a new value.
#include <corering/sim/sim.hpp>

#include "../examples/key_value_store.hpp"
#include "fuzz/bytes.hpp"

using namespace corering;
using fuzz::must;

namespace {

using Values = KeyValueStore<>::Values;

Task<void> open_and_put(Values& values) {
  auto store = co_await KeyValueStore<>::open("/tmp");
  must(store.has_value());
  const Result<void> put = co_await store->put("key", "value");
  must(put.has_value());
  values = store->values();
}

Task<void> open_again(const Values& values) {
  const auto store = co_await KeyValueStore<>::open("/tmp");
  must(store.has_value() && store->values() == values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sim::Disk disk;
  disk.put("/tmp/log", std::string(reinterpret_cast<const char*>(data), size));
  Values values;
  {
    sim::World world({.disk = &disk});
    must(world.run(open_and_put(values)).is_good());
  }
  must(values.at("key") == "value");
  sim::World world({.disk = &disk});
  must(world.run(open_again(values)).is_good());
  return 0;
}
