# snippets.awk — turns the C++ blocks of a Markdown page into one source file, so that they are compiled.
# A block with a function or an #include goes into a namespace of the page. A block of bare statements goes into a
# function, where the names that the pages use are declared. What one page alone uses is declared in PAGE.hpp beside this
# file; give -v prelude=PAGE.hpp then. A block that a command writes (a line "<!-- $ ..." is above it) is left to
# scripts/documents.py.
function flush_block() {
  ++count
  if (block ~ /(^|\n)(#include|Task<|AsyncGenerator<|struct |class |SIM_TEST\()/) {
    printf "namespace page {\n#line %d \"%s\"\n%s}\n", first, FILENAME, block
  } else {
    result = block ~ /co_await/ ? "Task<int>" : "int"
    back = block ~ /co_await/ ? "co_return" : "return"
    printf "namespace page {\n%s statements_%d(int fd, int listener, std::span<std::byte> buffer) {\n", result, count
    print "  const auto fail = [](const std::error_code& error) { return error.value(); };"
    print "  (void)fd, (void)listener, (void)buffer, (void)fail;"
    printf "#line %d \"%s\"\n%s  %s 0;\n}\n}\n", first, FILENAME, block, back
  }
}
BEGIN {
  print "// Made from the documentation. Do not edit."
  print "#include <corering/corering.hpp>"
  print "using namespace corering;"
  if (prelude != "") printf "#include \"%s\"\n", prelude
  print "namespace page { Task<void> serve(int listener); }"
}
/^<!-- \$ / { written = 1; next }
/^```cpp$/ && !written { inside = 1; block = ""; first = NR + 1; next }
/^```/ { written = 0 }
/^```$/ && inside { inside = 0; flush_block(); next }
inside && /^#include <corering/ { next }
inside && /^using namespace corering;/ { next }
inside { block = block $0 "\n" }
END {
  if (count == 0) { print "no C++ block in " FILENAME > "/dev/stderr"; exit 1 }
}
