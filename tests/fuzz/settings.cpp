/// settings.cpp — any text is in CORERING_TRACE or CORERING_MASK: it is refused, or means something sensible.
#include "trace/settings.hpp"

#include <cstdlib>
#include <string>

#include "fuzz/bytes.hpp"
#include "uring/mask.hpp"

using namespace corering;
using fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ::setenv("CORERING_TRACE", text.c_str(), 1);
  const auto found = trace::settings_of_environment();
  ::unsetenv("CORERING_TRACE");  // the library itself reads it, too
  if (found && *found) {
    const trace::Capture& capture = (*found)->capture;
    must((*found)->events_per_thread > 0);
    must(capture.slower_than_share >= 0 && capture.slower_than_share < 1);
    for (const AnyDuration time : {capture.slower_than, capture.stall, capture.at_most_every})
      must(Duration(time) >= Duration::zero() && Duration(time) <= std::chrono::hours(1));
  }
  const Mask mask = read_mask(text);
  must(mask.wrong_name.empty() || text.find(mask.wrong_name) != text.npos);
  return 0;
}
