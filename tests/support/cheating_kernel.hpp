/// cheating_kernel.hpp — the real kernel, whose answers are changed on their way, and whose requests are
/// counted.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <corering/emulation/emulated_kernel.hpp>

namespace corering::test {

/// Shows every SQE to `on_request`, which may change it before the kernel sees it, and every CQE to
/// `on_answer`, which returns the CQEs that the worker gets instead.
class CheatingKernel : public Kernel {
 public:
  std::function<void(Sqe&)> on_request = [](Sqe&) {};
  std::function<std::vector<Cqe>(const Cqe& real)> on_answer = [](const Cqe& real) {
    return std::vector{real};
  };
  std::map<std::uint64_t, Opcode> opcodes;  ///< the last request with this user_data
  std::map<Opcode, int>
      submitted;  ///< how many SQEs of each opcode were handed over; the worker's thread only

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override {
    std::unique_ptr<KernelRing> inner;
    const int result = default_kernel().open_ring(params, inner);
    if (result == 0) ring = std::make_unique<CheatingRing>(*this, std::move(inner));
    return result;
  }
  int open_eventfd() noexcept override { return default_kernel().open_eventfd(); }
  int wake(int eventfd) noexcept override { return default_kernel().wake(eventfd); }
  void nap(Duration how_long) noexcept override { default_kernel().nap(how_long); }
  void close(int fd) noexcept override { default_kernel().close(fd); }
  TimePoint now() const noexcept override { return default_kernel().now(); }

 private:
  class CheatingRing final : public KernelRing {
   public:
    CheatingRing(CheatingKernel& kernel, std::unique_ptr<KernelRing> inner) noexcept
        : kernel_(kernel), inner_(std::move(inner)), real_(inner_->memory()), shown_(real_) {
      shown_.cq_head = &head_;
      shown_.cq_tail = &tail_;
      shown_.cqes = cqes_.data();
      shown_.cq_entries = static_cast<std::uint32_t>(cqes_.size());
    }
    const RingMemory& memory() const noexcept override { return shown_; }
    int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
              const uapi::GetEventsArg* arg) noexcept override {
      for (unsigned i = 0; i < to_submit; ++i) {
        const std::uint32_t at = *real_.sq_tail - to_submit + i;
        Sqe& sqe = real_.sqes[at & (real_.sq_entries - 1)];
        kernel_.on_request(sqe);
        ++kernel_.submitted[static_cast<Opcode>(sqe.opcode)];
        kernel_.opcodes[sqe.user_data] = static_cast<Opcode>(sqe.opcode);
      }
      const int result = inner_->enter(to_submit, min_complete, flags, arg);
      while (*real_.cq_head != std::atomic_ref(*real_.cq_tail).load(std::memory_order_acquire)) {
        const Cqe real = real_.cqes[*real_.cq_head & (real_.cq_entries - 1)];
        std::atomic_ref(*real_.cq_head).fetch_add(1, std::memory_order_release);
        for (const Cqe& cqe : kernel_.on_answer(real)) cqes_[tail_++ & (cqes_.size() - 1)] = cqe;
      }
      return result;
    }
    int descriptor() const noexcept override { return inner_->descriptor(); }
    std::optional<Duration> until_due() const noexcept override { return inner_->until_due(); }
    int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override {
      return inner_->register_resource(opcode, arg, count);
    }

   private:
    CheatingKernel& kernel_;
    std::unique_ptr<KernelRing> inner_;
    RingMemory real_;
    RingMemory shown_;
    std::array<Cqe, 65536> cqes_{};
    std::uint32_t head_ = 0;
    std::uint32_t tail_ = 0;
  };
};

/// Returns the parts of a plain answer: bytes in two parts, and anything else twice.
inline std::vector<Cqe> in_two_parts(const CheatingKernel& kernel, const Cqe& real) {
  static const std::set of_bytes = {
      Opcode::read,        Opcode::write,       Opcode::readv,        Opcode::writev, Opcode::read_fixed,
      Opcode::write_fixed, Opcode::readv_fixed, Opcode::writev_fixed, Opcode::send,   Opcode::recv,
      Opcode::sendmsg,     Opcode::recvmsg,     Opcode::splice,       Opcode::tee};
  const bool is_plain = real.user_data != 0 && (real.user_data & 7) == 0;
  const auto request = kernel.opcodes.find(real.user_data);
  if (!is_plain || request == kernel.opcodes.end()) return {real};
  Cqe part = real, rest = real;
  if (of_bytes.contains(request->second) && real.res > 0) {
    part.res = real.res / 2;
    rest.res = real.res - part.res;
  }
  part.flags |= uapi::cqe_more;
  return {part, rest};
}

}  // namespace corering::test
