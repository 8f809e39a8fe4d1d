/// http.cpp — any bytes are what a client of http_hello sends: the answers are whole, they are the same
/// however the bytes were cut, and nothing of the client can end a line in them.
#include <string>
#include <string_view>

#include "../examples/http_answers.hpp"
#include "fuzz/bytes.hpp"

using corering::fuzz::must;

namespace {

struct Answered {
  bool goes_on = true;
  std::string begun, answers;
};

Answered answer(std::string_view input, std::size_t piece) {
  Answered all;
  for (; all.goes_on && !input.empty(); input.remove_prefix(std::min(piece, input.size())))
    all.goes_on = answer_piece(input.substr(0, piece), all.begun, all.answers);
  return all;
}

/// Takes the next head from `input`; of one that is too large, or has no end, nothing. Returns true if its
/// answer has no body.
bool take_head_request(std::string_view& input) {
  const std::size_t end = input.substr(0, largest_head).find("\r\n\r\n");
  if (end == input.npos) return false;
  const std::string_view head = input.substr(0, end);
  input.remove_prefix(end + 4);
  return head.substr(0, std::min(head.find(' '), head.find("\r\n"))) == "HEAD";
}

/// Each answer has a body, which is as long as it says, unless it is one to HEAD.
void check_answers(std::string_view input, std::string_view answers) {
  while (!answers.empty()) {
    must(answers.starts_with("HTTP/1.1 "));
    const std::size_t end = answers.find("\r\n\r\n");
    must(end != answers.npos);
    const std::string head(answers.substr(0, end));
    const std::size_t at = head.find("Content-Length: ");
    must(at != head.npos);
    const std::size_t length = std::strtoul(head.c_str() + at + 16, nullptr, 10);
    answers.remove_prefix(end + 4);
    if (take_head_request(input)) continue;
    must(length > 0 && answers.size() >= length);
    must(answers.substr(0, length).ends_with("\n"));
    answers.remove_prefix(length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Answered whole = answer(input, std::max<std::size_t>(size, 1));
  check_answers(input, whole.answers);
  for (const std::size_t piece : {1U, 7U, 500U}) {
    const Answered cut = answer(input, piece);
    must(cut.answers == whole.answers && cut.goes_on == whole.goes_on);
    must(!cut.goes_on || cut.begun == whole.begun);
    must(cut.begun.size() < 8192 + 500);
  }
  return 0;
}
