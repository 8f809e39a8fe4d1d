/// descriptor_records.cpp — makes room for more descriptor numbers.
#include "emulation/descriptor_records.hpp"

#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {

DescriptorRecords::Record* DescriptorRecords::grow(int fd) noexcept {
  CORERING_ASSERT(fd >= 0, "a descriptor is not negative");
  const std::size_t chunk = static_cast<std::size_t>(fd) / chunk_size;
  try {
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    chunks_[chunk] = std::make_unique<Chunk>();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return find(fd);
}

}  // namespace corering::emulation
