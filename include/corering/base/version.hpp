/// version.hpp — which library these headers belong to. A program that is linked with another one does not
/// link.
#pragma once

/// The library of this version defines this name, and everything that includes a header of it asks for it. So
/// the linker finds a source that was compiled with other headers, and its message says which version they
/// have.
#define CORERING_VERSION_SYMBOL corering_these_headers_need_the_library_of_version_0_1_0

extern "C" const char CORERING_VERSION_SYMBOL;

namespace corering {

// It is static: if it were inline, the linker would keep one of several versions, and not see the others.
[[gnu::used]] static const char* const library_of_these_headers = &CORERING_VERSION_SYMBOL;

}  // namespace corering
