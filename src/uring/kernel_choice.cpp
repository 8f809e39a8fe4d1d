/// kernel_choice.cpp — reading CORERING_KERNEL.
#include <cstdlib>

#include <corering/uring/kernel_choice.hpp>

namespace corering {
namespace {

std::string_view kernel_name_in_environment() noexcept {
  static const char* const value = std::getenv("CORERING_KERNEL");
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

std::optional<KernelChoice> kernel_choice_in_environment() noexcept {
  const std::string_view name = kernel_name_in_environment();
  if (name == "io_uring") return KernelChoice::io_uring;
  if (name == "emulated") return KernelChoice::emulated;
  if (name == "auto") return KernelChoice::automatic;
  return std::nullopt;
}

std::string_view wrong_kernel_name() noexcept {
  const std::string_view name = kernel_name_in_environment();
  return name.empty() || kernel_choice_in_environment() ? std::string_view() : name;
}

}  // namespace corering
