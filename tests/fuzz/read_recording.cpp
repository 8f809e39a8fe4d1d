/// read_recording.cpp — any bytes are a trace file: the reader says what is wrong with them, or reads them.
#include "trace/read_recording.hpp"

#include <cstdlib>

using namespace corering::trace;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const corering::Result<Recording> read = read_recording(MemorySource(std::as_bytes(std::span(data, size))));
  if (!read) return 0;
  std::size_t events = 0;
  for (const ThreadRecording& thread : read->threads) events += thread.events.size();
  // Every event was in the file. Two rings may lie over each other, so the file's size is the limit for each.
  if (events > read->threads.size() * (size / sizeof(Event))) std::abort();
  return 0;
}
