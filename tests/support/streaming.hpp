/// streaming.hpp — what the tests of streams and buffers share.
#pragma once

#include <sys/resource.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering::test {

inline void send_text(int fd, std::string_view text) {
  EXPECT_EQ(sys::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}
inline BufferPool make_pool(BufferPoolOptions options) {
  Result<BufferPool> pool = BufferPool::create(options);
  EXPECT_TRUE(pool) << pool.error().message();
  return std::move(pool).value();
}

/// While this exists, the process may open descriptors only below this number. Those above stay open.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit fewer = before_;
    fewer.rlim_cur = most;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &fewer), 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// Lets a stream begin, without a wait.
template <class Stream>
Task<void> arm(Stream& stream) {
  const auto nothing = co_await with_timeout(Duration::zero(), stream.next());
  EXPECT_TRUE(nothing || nothing.error() == std::errc::timed_out);
}

}  // namespace corering::test
