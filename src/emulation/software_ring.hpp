/// software_ring.hpp — a ring whose SQEs are interpreted in the process, for machines without io_uring.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include <corering/base/process_generation.hpp>
#include <corering/uring/kernel.hpp>

#include "emulation/interpreter.hpp"

namespace corering::emulation {

/// It has the kernel's memory layout and gives the kernel's answers. Where those differ, docs/KERNELS.md says
/// so.
/// thread: the one that opened it; another one gets EEXIST, as with SINGLE_ISSUER
class SoftwareRing final : public KernelRing {
 public:
  explicit SoftwareRing(std::unique_ptr<World> world) noexcept : interpreter_(std::move(world)) {}
  SoftwareRing(SoftwareRing&&) = delete;
  ~SoftwareRing() override = default;

  /// Returns 0 or -errno. Fills in what the ring got.
  int open(RingParams& params) noexcept;

  const RingMemory& memory() const noexcept override { return memory_; }
  int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
            const uapi::GetEventsArg* arg) noexcept override;
  int descriptor() const noexcept override { return interpreter_.descriptor(); }
  std::optional<Duration> until_due() const noexcept override { return interpreter_.until_due(); }
  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override;

 private:
  [[nodiscard]] bool may_enter() const noexcept;
  int submit(unsigned most) noexcept;

  Interpreter interpreter_;
  RingMemory memory_;
  std::unique_ptr<Sqe[]> sqes_;
  std::unique_ptr<std::uint32_t[]> sq_array_;
  std::uint32_t sq_head_ = 0;
  std::uint32_t sq_tail_ = 0;
  std::uint32_t sq_flags_ = 0;
  bool submits_all_ = false;
  bool is_disabled_ = false;  // until IORING_REGISTER_ENABLE_RINGS
  std::thread::id owner_ = std::this_thread::get_id();
  unsigned generation_ = process_generation();
};

}  // namespace corering::emulation
