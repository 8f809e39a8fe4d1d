/// main.cpp — corering: `corering doctor [--json]` says whether io_uring can be used here.
#include <cstdio>
#include <string_view>

#include "doctor.hpp"

int main(int argc, char** argv) {
  const bool json = argc == 3 && std::string_view(argv[2]) == "--json";
  if (argc < 2 || std::string_view(argv[1]) != "doctor" || argc > (json ? 3 : 2)) {
    return std::fputs("usage: corering doctor [--json]\n", stderr), 2;
  }
  const corering_tool::Diagnosis diagnosis = corering_tool::examine();
  const std::string report = json ? as_json(diagnosis) : as_text(diagnosis);
  const bool written =
      std::fwrite(report.data(), 1, report.size(), stdout) == report.size() && std::fflush(stdout) == 0;
  if (!written) return std::perror("corering: cannot write"), 1;
  return diagnosis.usable ? 0 : 1;
}
