/// output.hpp — where a long view is written, piece by piece, so that it is never in memory as a whole.
#pragma once

#include <string>
#include <string_view>

namespace iotrace {

/// Collects what is added, and writes it to a descriptor in large pieces. After an error it writes nothing
/// more.
class Output {
 public:
  /// keep alive: the descriptor, which is not closed here
  explicit Output(int fd) : fd_(fd) {}

  void add(std::string_view text) {
    pending_ += text;
    if (pending_.size() >= piece) write_pending();
  }

  /// Writes the rest. Returns 0, or the errno of the first write that failed.
  [[nodiscard]] int finish();

 private:
  static constexpr std::size_t piece = std::size_t{1} << 18;

  void write_pending();

  int fd_;
  int error_ = 0;
  std::string pending_;
};

}  // namespace iotrace
