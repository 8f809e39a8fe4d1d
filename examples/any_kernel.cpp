/// any_kernel.cpp — linked into every example: where io_uring is refused, as in most containers, they use the
/// emulation of it, and print one line that says so.
///
/// Your own program asks for io_uring itself, and gets an error that says what to do, unless it calls this
/// function or the environment has CORERING_KERNEL=auto.
#include <corering/emulation/emulated_kernel.hpp>

namespace {

// Before main(), so that no example has to say it.
[[maybe_unused]] const bool chosen = (corering::prefer_kernel(corering::KernelChoice::automatic), true);

}  // namespace
