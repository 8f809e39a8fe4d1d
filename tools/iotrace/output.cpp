/// output.cpp — write(2) until everything is written.
#include "output.hpp"

#include <cerrno>
#include <unistd.h>

namespace iotrace {

void Output::write_pending() {
  std::string_view rest = pending_;
  while (!rest.empty() && error_ == 0) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  pending_.clear();
}

int Output::finish() {
  write_pending();
  return error_;
}

}  // namespace iotrace
