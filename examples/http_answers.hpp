/// http_answers.hpp — what a client has sent becomes answers to GET and HEAD, in HTTP/1.1.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

inline constexpr std::size_t largest_head = 8192;

struct HttpRequest {
  std::string_view status;  // of the answer
  std::string_view method, target;
  bool keep_alive;
};

inline constexpr HttpRequest too_large = {"431 Request Header Fields Too Large", {}, {}, false};

inline std::pair<std::string_view, std::string_view> split(std::string_view text, std::string_view at) {
  const std::size_t end = text.find(at);
  if (end == text.npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + at.size())};
}

inline bool is_word(std::string_view text) {  // it has no spaces, and nothing that a terminal would act on
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Returns true if this field ends the connection. Bodies are not read here: where a body may follow, nothing
/// else is read.
inline bool ends_the_connection(std::string_view name, std::string_view value) {
  const auto is = [&](std::string_view other) { return std::ranges::equal(name, other, {}, lower); };
  if (is("connection")) return !std::ranges::search(value, std::string_view("close"), {}, lower).empty();
  return is("content-length") || is("transfer-encoding");
}

inline std::string_view status_for(std::string_view method, std::string_view version) {
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return "505 HTTP Version Not Supported";
  return method == "GET" || method == "HEAD" ? "200 OK" : "405 Method Not Allowed";
}

/// `head` does not contain the empty line at its end.
inline HttpRequest parse(std::string_view head) {
  auto [line, fields] = split(head, "\r\n");
  const auto [method, rest] = split(line, " ");
  const auto [target, version] = split(rest, " ");
  bool is_http = is_word(method) && is_word(target) && is_word(version) && version.starts_with("HTTP/");
  bool keep_alive = version == "HTTP/1.1";
  while (!fields.empty()) {
    const auto [field, others] = split(fields, "\r\n");
    const auto [name, value] = split(field, ":");
    is_http = is_http && is_word(name) && name != field;  // there is a colon
    keep_alive = keep_alive && !ends_the_connection(name, value);
    fields = others;
  }
  if (!is_http) return {"400 Bad Request", method, target, false};
  return {status_for(method, version), method, target, keep_alive};
}

inline void append_answer(const HttpRequest& request, std::string& answers) {
  std::string body = request.status.starts_with("200") ? "You asked for " : "";
  body.append(body.empty() ? request.status : request.target).append("\n");
  answers.append("HTTP/1.1 ").append(request.status).append("\r\n");
  answers.append("Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n");
  answers.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  if (request.status.starts_with("405")) answers.append("Allow: GET, HEAD\r\n");
  if (!request.keep_alive) answers.append("Connection: close\r\n");
  answers.append("\r\n");
  if (request.method != "HEAD") answers.append(body);
}

/// Answers the complete heads in `input` and removes them. Returns false if the connection must end after
/// that.
inline bool answer_heads(std::string_view& input, std::string& answers) {
  for (;;) {
    const std::size_t end = input.substr(0, largest_head).find("\r\n\r\n");
    if (end == input.npos && input.size() < largest_head) return true;
    const HttpRequest request = end == input.npos ? too_large : parse(input.substr(0, end));
    append_answer(request, answers);
    if (!request.keep_alive) return false;
    input.remove_prefix(end + 4);
  }
}

/// The same for a piece of the input. `begun` is a head whose end has not arrived yet: only then does a
/// connection that waits need memory.
inline bool answer_piece(std::string_view piece, std::string& begun, std::string& answers) {
  if (!begun.empty()) piece = begun.append(piece);
  const bool goes_on = answer_heads(piece, answers);
  std::string(piece).swap(begun);  // frees the memory, which an assignment would keep
  return goes_on;
}
