/// files.hpp — what the tests of files share.
#pragma once

#include <fstream>

#include "support/story.hpp"

namespace corering::test {

inline std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace corering::test
