# Says at once what would otherwise end in a page of errors: a compiler that is too old, or a build that is slow by mistake.
include(CheckCXXSourceCompiles)
set(known "corering is built and tested with clang 19 and g++ 12: install one (on Debian 12: clang-19 or g++-12), and name it with -DCMAKE_CXX_COMPILER=clang++-19 or g++-12")
if((CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16) OR
   (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12))
  message(FATAL_ERROR
    "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} is too old for C++23 as corering uses it. ${known}")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(NOTICE "corering: g++ 12 compiles some coroutines wrongly; scripts/check_gcc12.sh finds them in your sources (docs/STYLE.md), and clang 19 has no such fault")
endif()

# clang takes the library of the newest g++, and some pairs of the two have no std::expected.
set(CMAKE_REQUIRED_FLAGS -std=c++23)
set(CMAKE_REQUIRED_QUIET ON)
check_cxx_source_compiles("#include <coroutine>
#include <expected>
#include <functional>
int main() { std::expected<int, int> e(1); std::move_only_function<int()> f([] { return 0; }); return f() + *e - 1; }"
  CORERING_COMPILER_HAS_WHAT_IT_NEEDS)
unset(CMAKE_REQUIRED_FLAGS)
unset(CMAKE_REQUIRED_QUIET)
if(NOT CORERING_COMPILER_HAS_WHAT_IT_NEEDS)
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} and its standard library have no coroutines, "
    "std::expected or std::move_only_function. ${known}")
endif()

get_property(many_configurations GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT many_configurations)
  if(PROJECT_IS_TOP_LEVEL)
    message(STATUS "CMAKE_BUILD_TYPE is empty: building Release")
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
  else()
    message(NOTICE "corering: CMAKE_BUILD_TYPE is empty, so nothing is optimised: -DCMAKE_BUILD_TYPE=Release is several times faster")
  endif()
endif()
