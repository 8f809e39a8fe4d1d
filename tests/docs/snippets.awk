# snippets.awk — turns the C++ blocks of a Markdown page into one source file, so that they are compiled.
# A block with a function or an #include goes into a namespace of the page. A block of bare statements goes into a
# function, where the names that the pages use are declared.
function flush_block() {
  ++count
  if (block ~ /(^|\n)(#include|Task<|AsyncGenerator<|struct |class )/) {
    printf "namespace page {\n#line %d \"%s\"\n%s}\n", first, FILENAME, block
  } else {
    printf "namespace page {\nint statements_%d(int fd, int listener, std::span<std::byte> buffer) {\n", count
    print "  const auto fail = [](const std::error_code& error) { return error.value(); };"
    print "  (void)fd, (void)listener, (void)buffer, (void)fail;"
    printf "#line %d \"%s\"\n%s  return 0;\n}\n}\n", first, FILENAME, block
  }
}
BEGIN {
  print "// Made from the documentation. Do not edit."
  print "#include <corering/corering.hpp>"
  print "using namespace corering;"
  print "namespace page { Task<void> serve(int listener); }"
}
/^```cpp$/ { inside = 1; block = ""; first = NR + 1; next }
/^```$/ && inside { inside = 0; flush_block(); next }
inside && /^#include <corering/ { next }
inside && /^using namespace corering;/ { next }
inside { block = block $0 "\n" }
END {
  if (count == 0) { print "no C++ block in " FILENAME > "/dev/stderr"; exit 1 }
}
