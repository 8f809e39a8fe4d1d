/// main.cpp — corering: `corering doctor [--json]` says whether io_uring can be used here, `corering kernel`
/// what is.
#include <cstdio>
#include <string>
#include <string_view>

#include <corering/emulation/emulated_kernel.hpp>

#include "doctor.hpp"

namespace {

constexpr const char* usage = "usage: corering doctor [--json], or corering kernel";

constexpr const char* help = R"(
doctor says what of io_uring works on this machine, what does not, and what to do about it. The exit status is
0 if corering can be used here, and 1 if not. kernel prints which kernel workers use here, as CORERING_KERNEL
says (io_uring, emulated or auto): "io_uring", or "io_uring, emulated".

  --json                the same for programs
  --help, --version)";

/// Writes the report and returns the exit code.
int print(std::string_view text, int code) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) return std::perror("corering: cannot write"), 1;
  return code;
}

int print_kernel() {
  if (const std::string_view wrong = corering::wrong_kernel_name(); !wrong.empty()) {
    return std::fprintf(stderr, "corering: CORERING_KERNEL is '%s': set it to io_uring, emulated or auto\n",
                        std::string(wrong).c_str()),
           2;
  }
  return print(std::string(corering::default_kernel().name()) + "\n", 0);
}

int examine_and_print(bool json) {
  const corering_tool::Diagnosis diagnosis = corering_tool::examine();
  return print(json ? as_json(diagnosis) : as_text(diagnosis), diagnosis.usable ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") return print(std::string(usage) + "\n" + help + "\n", 0);
    if (argument == "--version") return print("corering " CORERING_VERSION "\n", 0);
  }
  if (argc == 2 && std::string_view(argv[1]) == "kernel") return print_kernel();
  const bool json = argc == 3 && std::string_view(argv[2]) == "--json";
  if (argc < 2 || std::string_view(argv[1]) != "doctor" || argc > (json ? 3 : 2))
    return std::fprintf(stderr, "%s\n", usage), 2;
  return examine_and_print(json);
}
