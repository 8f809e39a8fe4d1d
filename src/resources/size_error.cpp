/// size_error.cpp — what to write instead.
#include <corering/resources/size_error.hpp>

namespace corering {
namespace {

class SizeCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "corering.size"; }
  std::string message(int value) const override {
    switch (static_cast<SizeErrc>(value)) {
      case SizeErrc::ring_count:
        return "the number of buffers must be a power of two from 1 to 32768, such as 64, 128 or 256";
      case SizeErrc::buffer_count:
        return "there must be at least one buffer";
      case SizeErrc::buffer_size:
        return "the size of a buffer must be from 1 byte to 1 GiB";
      case SizeErrc::slot_count:
        return "a table of files must have from 1 to 1048576 slots";
    }
    return "unknown";
  }
  std::error_condition default_error_condition(int) const noexcept override {
    return std::errc::invalid_argument;
  }
};

}  // namespace

const std::error_category& size_category() noexcept {
  static const SizeCategory category;
  return category;
}

}  // namespace corering
