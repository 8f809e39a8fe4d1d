/// words.cpp — any text is an argument of iotrace, a file's name in its output, or what tracefs says.
#include <string>

#include "common/text.hpp"
#include "fuzz/bytes.hpp"
#include "iotrace/selection.hpp"
#include "iotrace/tracepoints.hpp"
#include "iotrace/views.hpp"

using namespace iotrace;
using corering::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto duration = parse_duration(text); duration) must(*duration >= 0);
  if (const auto demand = parse_demand("p99", text); demand)
    must(!demand->kind.empty() && demand->below >= 0);
  for (const char c : tools::printable(text)) must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  must(tools::printable(tools::printable(text)) == tools::printable(text));
  for (const char c : tools::json_string(text)) must(static_cast<unsigned char>(c) >= 0x20);
  for (const Tracepoint& one : parse_tracepoints(text)) {
    for (const TracepointField field : {one.thread, one.ring, one.request, one.user_data, one.opcode})
      must(field.offset <= 4096 && field.size <= 8);
  }
  return 0;
}
