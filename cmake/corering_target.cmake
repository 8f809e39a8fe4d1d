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
