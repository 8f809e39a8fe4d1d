/// frame_memory.hpp — a simulation that decides whether there is memory for a frame.
#pragma once

namespace corering {

class FrameMemory {
 public:
  [[nodiscard]] virtual bool is_there() noexcept = 0;

  /// While it lives, every frame of this thread asks it. It cannot be nested.
  class Asked {
   public:
    explicit Asked(FrameMemory& memory) noexcept;
    Asked(Asked&&) = delete;
    ~Asked();

   private:
    const bool made_none_before_;
  };

 protected:
  ~FrameMemory() = default;
};

}  // namespace corering
