# What every target of this project gets, and nothing outside it: warnings, sanitizers, a common place for programs.

function(corering_target target)
  target_compile_options(${target} PRIVATE -Wall -Wextra)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wpedantic -Wnon-virtual-dtor>)
  # Fields that are not named in an initialiser have their defaults on purpose.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE -Wno-missing-designated-field-initializers)
  else()
    target_compile_options(${target} PRIVATE -Wno-missing-field-initializers)
    # g++ 12 sees overlaps in "text" + std::string that are none (its bug 105651).
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      target_compile_options(${target} PRIVATE -Wno-restrict)
    endif()
  endif()
  if(CORERING_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(CORERING_SANITIZE)
    # PUBLIC: whoever links an instrumented library is instrumented too.
    target_compile_options(${target} PUBLIC -fsanitize=${CORERING_SANITIZE} -fno-omit-frame-pointer)
    # The check of virtual calls opens a pipe for each type it meets, and reports an error when it cannot: tests
    # that run out of descriptors would fail. What it would find, the address sanitizer finds too.
    if(CORERING_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PUBLIC -fno-sanitize=vptr)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${CORERING_SANITIZE})
  endif()
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# corering_precompile(TARGET [HEADER...]) reads what nearly every source includes of the standard library, and these headers, once for all
# sources of the target; corering_precompiled_for(OTHER TARGET) takes for it what has been read for the other one. Not with g++: it
# forgets in a precompiled header what is a system's, and warns of it. So its build says whether each source includes what it needs.
function(corering_precompile target)
  if(CORERING_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <atomic> <chrono> <coroutine> <expected> <functional>
      <map> <memory> <optional> <span> <string> <vector> ${ARGN})
  endif()
endfunction()
function(corering_precompiled_for other target)
  if(CORERING_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_precompile_headers(${target} REUSE_FROM ${other})
  endif()
endfunction()

# The same as corering_target() for what is tested: under a sanitizer it is optimised, so that it runs faster, and the fuzzer is told where
# it has been. The tests themselves are neither, so that they build faster.
function(corering_tested_target target)
  corering_target(${target})
  if(CORERING_SANITIZE)
    target_compile_options(${target} PRIVATE -O1)
  endif()
  if(CORERING_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
