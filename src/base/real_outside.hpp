/// real_outside.hpp — for a while the calling thread asks the operating system itself, whatever world it has.
#pragma once

#include <corering/base/outside.hpp>

namespace corering::os {

/// For what the whole process remembers: a world on this thread must not answer it.
class RealOutside {
 public:
  RealOutside() noexcept : before_(set_outside(nullptr)) {}
  RealOutside(RealOutside&&) = delete;
  ~RealOutside() { set_outside(before_); }

 private:
  Outside* before_;
};

}  // namespace corering::os
