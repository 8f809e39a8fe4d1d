/// version.cpp — the name by which the linker knows that headers and library belong together.
#include <corering/base/version.hpp>

extern "C" const char CORERING_VERSION_SYMBOL = 0;
