/// frame_cache_test.cpp — frames are handed out once, and come back from any thread.
#include <thread>
#include <vector>

#include <corering/engine/frame_cache.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

TEST(FrameCache, hands_a_freed_frame_out_again) {
  void* const first = allocate_frame(200);
  free_frame(first, 200);
  void* const second = allocate_frame(220);  // the same size class
  EXPECT_EQ(first, second);
  free_frame(second, 220);
}

TEST(FrameCache, serves_every_size_whole) {
  for (const std::size_t size : {1, 16, 63, 64, 65, 8192, 8193, 100'000}) {
    auto* const frame = static_cast<unsigned char*>(allocate_frame(size));
    std::fill_n(frame, size, 0xab);
    free_frame(frame, size);
  }
}

TEST(FrameCache, takes_frames_that_die_on_another_thread) {
  std::vector<void*> frames(1000);
  for (int round = 0; round < 5; ++round) {
    for (void*& frame : frames) frame = allocate_frame(128);
    std::thread([&frames] {
      for (void* frame : frames) free_frame(frame, 128);
    }).join();
  }
  std::vector<void*> again(frames.size());
  for (void*& frame : again) frame = allocate_frame(128);
  std::sort(again.begin(), again.end());
  EXPECT_EQ(std::adjacent_find(again.begin(), again.end()), again.end()) << "a frame was handed out twice";
  for (void* frame : again) free_frame(frame, 128);
}

}  // namespace
}  // namespace corering
