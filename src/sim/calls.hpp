/// calls.hpp — what each operation does in a simulated system.
#pragma once

#include <memory>
#include <sys/uio.h>
#include <vector>

#include "emulation/call.hpp"
#include "sim/child_process.hpp"
#include "sim/file_system.hpp"
#include "sim/object.hpp"
#include "sim/signal_file.hpp"
#include "sim/system.hpp"

namespace corering::sim {

using emulation::Answer;
using emulation::Call;

/// Tries a call on its object, which may be null. Nothing waits. `by_helper` says that a helper does it, who
/// may take its time.
[[nodiscard]] Answer attempt_call(System& system, const std::shared_ptr<Object>& object, Call& call,
                                  bool by_helper) noexcept;

/// Takes the memory that the call will write to away from the program, until System::give_back().
void take_memory(Watch& watch);

/// Returns true if a world knows what this operation means. The others answer EOPNOTSUPP.
[[nodiscard]] bool is_modelled(Opcode opcode) noexcept;

template <class T>
[[nodiscard]] T* pointer_to(std::uint64_t address) noexcept {
  return reinterpret_cast<T*>(address);
}

[[nodiscard]] inline Opcode opcode_of(const Call& call) noexcept {
  return static_cast<Opcode>(call.sqe.opcode);
}

/// The buffers of a transfer, without what has been moved already.
class Buffers {
 public:
  explicit Buffers(const Call& call);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const std::vector<iovec>& parts() const noexcept { return parts_; }
  /// Copies into them, or out of them: the kernel's writes and reads of the program's memory.
  void fill(const char* from, std::size_t count) const noexcept;
  void take(char* into, std::size_t count) const noexcept;

 private:
  template <class Copy>
  void for_first(std::size_t count, Copy&& copy) const noexcept;
  void add(iovec part, std::uint64_t& moved);

  std::vector<iovec> parts_;
  std::size_t size_ = 0;
};

/// Returns the flags of a receive or a send (MSG_WAITALL and others). A read or a write knows one of them,
/// which it calls RWF_NOWAIT.
[[nodiscard]] std::uint32_t message_flags_of(const emulation::Call& call) noexcept;

namespace calls {

Answer read_counter(System& system, Counter& counter, Call& call);
Answer write_counter(System& system, Counter& counter, Call& call);
Answer read_pipe(System& system, PipeEnd& end, Call& call);
Answer write_pipe(System& system, PipeEnd& end, Call& call);
Answer receive(System& system, StreamSocket& socket, Call& call);
Answer send(System& system, StreamSocket& socket, Call& call);
Answer receive_datagram(System& system, DatagramSocket& socket, Call& call);
Answer send_datagram(System& system, DatagramSocket& socket, Call& call);
Answer read_file(System& system, OpenFile& file, Call& call, bool by_helper);
Answer write_file(System& system, OpenFile& file, Call& call, bool by_helper);
Answer sync_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer truncate(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer allocate(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer advise(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer open_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer stat_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer unlink_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer rename_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer link_file(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer make_directory(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer accept(System& system, Object& object, Call& call);
Answer connect(System& system, const std::shared_ptr<Object>& object, Call& call);
Answer shut_down(System& system, Object& object, Call& call);
Answer command(System& system, Object& object, Call& call);
Answer read_signals(System& system, SignalFile& file, Call& call);
Answer wait_for_child(System& system, const std::shared_ptr<Object>& object, Call& call);

/// Adds what has come now to what earlier attempts have moved, and decides whether MSG_WAITALL goes on.
[[nodiscard]] Answer moved_now(Call& call, std::size_t now, bool is_all, std::uint32_t event) noexcept;
/// Nothing can be moved now.
[[nodiscard]] Answer nothing_now(const Object& object, const Call& call, std::uint32_t event) noexcept;

}  // namespace calls
}  // namespace corering::sim
