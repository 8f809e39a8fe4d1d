/// kernel_events.cpp — the begins and ends of the kernel lane.
#include "kernel_events.hpp"

namespace iotrace {

std::vector<KernelEvent> begins_and_ends(const LaneRecording& recording) {
  using corering::trace::Kind;
  std::vector<KernelEvent> found;
  for (const LaneEvent& event : recording.events) {
    if (event.kind == Kind::kernel_began)
      found.push_back({.kind = KernelEvent::Kind::began, .user_data = event.user_data, .ns = event.ns});
    if (event.kind == Kind::kernel_ended)
      found.push_back({.kind = KernelEvent::Kind::completed, .user_data = event.user_data, .ns = event.ns});
  }
  return found;
}

}  // namespace iotrace
