/// usage.hpp — what a program holds at the moment: descriptors, operations, tasks, buffers, memory.
#pragma once

#include <cstdint>
#include <string>

#include <corering/corering.hpp>

#include "soak/server.hpp"

namespace corering::soak {

/// What must be the same after a load as before, and memory.
struct Usage {
  // To the last one.
  int descriptors = 0;            ///< open in this process, the trace file left out
  std::uint64_t in_flight = 0;    ///< operations that workers have with the kernel
  std::uint64_t tasks = 0;        ///< strands on the workers
  std::int64_t frames = 0;        ///< coroutines of this program that have begun and not ended
  std::uint64_t lent = 0;         ///< buffers that the pools have lent
  std::uint64_t in_kernel = 0;    ///< buffers that the pools have ready
  std::uint64_t connections = 0;  ///< that the server has open
  // About.
  std::int64_t heap_blocks = 0;  ///< made by operator new and not freed; the frame caches' are among them
  std::uint64_t resident = 0;    ///< bytes
};

/// Reads all of it, once two readings in a row are the same, apart from memory: what was asked to end may
/// still be on its way.
[[nodiscard]] Usage settled_usage(Server& server);

/// Returns what differs, in words, or nothing. Numbers must be equal. The heap may have 5 % and 2,000 blocks
/// more: caches keep the frames of the moment with the most tasks, and no two rounds are alike. Resident
/// memory may be 10 % and 8 MiB more. It is not compared under a sanitizer, which keeps freed memory.
[[nodiscard]] std::string difference(const Usage& before, const Usage& after);

[[nodiscard]] std::string in_words(const Usage& usage);

/// Lies in a coroutine's frame and counts it.
class CountedFrame {
 public:
  CountedFrame() noexcept { change(1); }
  CountedFrame(CountedFrame&&) = delete;
  ~CountedFrame() { change(-1); }
  [[nodiscard]] static std::int64_t alive() noexcept;

 private:
  static void change(std::int64_t by) noexcept;
};

/// Lets this process open `wanted` descriptors. Returns false if it may not.
[[nodiscard]] bool may_open(std::uint64_t wanted);

}  // namespace corering::soak
