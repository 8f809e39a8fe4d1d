/// post.hpp — handing something to another worker.
#pragma once

#include <coroutine>
#include <cstdint>

namespace corering {

class Loop;
class Strand;

/// What travels from one thread to a worker.
/// keep alive: until the worker has taken it; the poster does not touch it meanwhile
struct PostNode {
  /// What the node is for: a coroutine that hops, one that comes back to its home worker, something to call,
  /// or the stop request.
  enum class Kind : std::uint8_t { hop, homecoming, call, stop };
  using Call = void (*)(PostNode& node, Loop& here) noexcept;

  PostNode* next = nullptr;
  union {
    std::coroutine_handle<> coroutine = nullptr;
    Call call;  ///< of Kind::call: what the worker calls, on its own thread, when it has taken the node
  };
  Strand* strand = nullptr;  ///< the strand that moves with it, if one does
  Kind kind = Kind::hop;
  bool refused = false;      ///< set by the worker: taken by one that never ran
  std::uint16_t unused = 0;  ///< nobody reads it: with it, one store initialises the last four
  std::uint32_t pushed = 0;  ///< while times are kept: when, see LoopTimes; 0: nobody noted it
};

/// A node that is called, not resumed.
struct CallNode : PostNode {
  explicit CallNode(Call function) noexcept {
    kind = Kind::call;
    call = function;
  }
};

/// Returns what a trace calls the task that moves with the node; 0: none does.
[[nodiscard]] inline std::uint64_t task_in_trace(const PostNode& node) noexcept {
  if (node.kind == PostNode::Kind::call) return 0;
  return node.strand != nullptr ? reinterpret_cast<std::uintptr_t>(node.strand)
                                : reinterpret_cast<std::uintptr_t>(node.coroutine.address());
}

/// Hands the node to the worker of `there`, from any thread. A coroutine that belongs to a strand hops with
/// Strand::hop() instead. Returns false when the worker takes no more work: then nothing has happened. After
/// true the node and its coroutine may already run elsewhere.
[[nodiscard]] bool post(Loop& there, PostNode& node) noexcept;

/// The same for a worker that may be stopping; the caller knows that it has not ended.
[[nodiscard]] bool post_regardless(Loop& there, PostNode& node) noexcept;

/// Hands a coroutine back to the worker that expects it (here::expect_homecoming()), which cannot refuse.
void post_home(Loop& there, PostNode& node) noexcept;

}  // namespace corering
