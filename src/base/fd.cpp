/// fd.cpp — closing a descriptor that a request may still name.
#include <atomic>

#include <corering/base/fd.hpp>
#include <corering/base/outside.hpp>

namespace corering::detail {
namespace {

std::atomic<BeforeClose> before_close = nullptr;

}  // namespace

void call_before_close(BeforeClose function) noexcept {
  before_close.store(function, std::memory_order_release);
}

void close_descriptor(int fd) noexcept {
  if (const BeforeClose tell = before_close.load(std::memory_order_acquire); tell != nullptr) tell(fd);
  os::close(fd);
}

}  // namespace corering::detail
