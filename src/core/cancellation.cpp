/// cancellation.cpp — which errors are cancellations.
#include <cerrno>

#include <corering/core/cancellation.hpp>

namespace corering {

bool is_cancellation(const std::error_code& error) noexcept {
  return error == std::error_code(ECANCELED, std::system_category()) ||
         error.category() == deadline_category();
}

}  // namespace corering
