/// byte_source.cpp — reads as much as there is.
#include "trace/byte_source.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace corering::trace {

std::size_t FileSource::read(std::uint64_t offset, void* into, std::size_t bytes) const {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(fd_, static_cast<char*>(into) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::size_t MemorySource::read(std::uint64_t offset, void* into, std::size_t bytes) const {
  const auto rest = bytes_.subspan(std::min<std::uint64_t>(offset, bytes_.size()));
  auto* const begin = static_cast<std::byte*>(into);
  return static_cast<std::size_t>(std::ranges::copy(rest.first(std::min(bytes, rest.size())), begin).out -
                                  begin);
}

}  // namespace corering::trace
