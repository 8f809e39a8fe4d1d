/// views.cpp — any bytes are a trace file: whatever iotrace can open, it can show in every way.
#include "iotrace/views.hpp"

#include "fuzz/bytes.hpp"
#include "iotrace/chrome.hpp"
#include "iotrace/operation_flow.hpp"
#include "iotrace/output.hpp"
#include "iotrace/perfetto.hpp"
#include "iotrace/render.hpp"
#include "iotrace/why.hpp"
#include "trace/read_recording.hpp"

using namespace iotrace;
using corering::fuzz::must;

namespace {

void show_operations(const Trace& trace) {
  for (std::size_t i = 0; i < std::min<std::size_t>(trace.operations.size(), 20); ++i) {
    (void)explain(trace, trace.operations[i]);
    if (const auto record = flow_of(trace, trace.operations[i]); record) {
      must(!render_mermaid(*record).empty() && !render_json(*record).empty());
      must(!render_text(*record).empty());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace corering::trace;
  auto read = read_recording(MemorySource(std::as_bytes(std::span(data, size))));
  if (!read) return 0;
  const Trace trace = make_trace(std::move(*read), true);
  must(!stat(trace, {}).empty());
  (void)show(trace, {});
  (void)slowest(trace, {}, 3);
  (void)diff(trace, trace);
  show_operations(trace);
  return 0;
}
