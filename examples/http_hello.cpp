/// http_hello.cpp — answers GET and HEAD on 127.0.0.1 in HTTP/1.1, one coroutine per connection. The kernel
/// takes a buffer from the one pool when a request has arrived: an idle connection holds none. Ctrl-C ends
/// it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

constexpr Duration patience = 30s;  // for a head to arrive, and for the answers to be sent
constexpr std::size_t largest_head = 8192;

// ---- requests, and their answers ----

struct HttpRequest {
  std::string_view status;  // of the answer
  std::string_view method, target;
  bool keep_alive;
};

constexpr HttpRequest too_large = {"431 Request Header Fields Too Large", {}, {}, false};

std::pair<std::string_view, std::string_view> split(std::string_view text, std::string_view at) {
  const std::size_t end = text.find(at);
  if (end == text.npos) return {text, {}};
  return {text.substr(0, end), text.substr(end + at.size())};
}

bool is_word(std::string_view text) {  // it has no spaces, and nothing that a terminal would act on
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Returns true if this field ends the connection. Bodies are not read here: where a body may follow, nothing
/// else is read.
bool ends_the_connection(std::string_view name, std::string_view value) {
  const auto is = [&](std::string_view other) { return std::ranges::equal(name, other, {}, lower); };
  if (is("connection")) return !std::ranges::search(value, "close"sv, {}, lower).empty();
  return is("content-length") || is("transfer-encoding");
}

std::string_view status_for(std::string_view method, std::string_view version) {
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return "505 HTTP Version Not Supported";
  return method == "GET" || method == "HEAD" ? "200 OK" : "405 Method Not Allowed";
}

/// `head` does not contain the empty line at its end.
HttpRequest parse(std::string_view head) {
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

void append_answer(const HttpRequest& request, std::string& answers) {
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
bool answer_heads(std::string_view& input, std::string& answers) {
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
bool answer_piece(std::string_view piece, std::string& begun, std::string& answers) {
  if (!begun.empty()) piece = begun.append(piece);
  const bool goes_on = answer_heads(piece, answers);
  std::string(piece).swap(begun);  // frees the memory, which an assignment would keep
  return goes_on;
}

// ---- connections ----

/// Waits until the client has read the last answer: closing while the client still sends would reset the
/// connection.
Task<void> see_off(const TcpStream& client, RecvStream& pieces) {
  (void)co_await client.shutdown_write();
  for (bool more = true; more;) {
    const Result<LentBuffer> ignored = co_await pieces.next();
    more = ignored.has_value();
  }
}

Task<void> converse(TcpStream client, BufferPool& pool) {
  (void)client.set_no_delay(true);  // an answer does not wait until the previous one has arrived
  RecvStream pieces = client.stream(pool);
  std::string begun;
  TimePoint deadline = Clock::now() + patience;
  for (bool goes_on = true; goes_on;) {
    Result<LentBuffer> piece = co_await with_deadline(deadline, pieces.next());
    if (!piece) break;
    std::string answers;
    goes_on = answer_piece(piece->text(), begun, answers);
    piece->give_back();  // before we wait for the client
    if (answers.empty()) continue;
    const Result<void> sent = co_await with_timeout(patience, client.write_all(answers));
    if (!sent) break;
    deadline = Clock::now() + patience;
    if (!goes_on) (void)co_await with_timeout(2s, see_off(client, pieces));
  }
  (void)co_await client.close();
}

// ---- the server ----

Task<Result<void>> accept_all(TcpListener& listener, BufferPool& pool, TaskGroup& group) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) co_return std::unexpected(client.error());
    group.spawn(converse(std::move(*client), pool));
  }
}

/// The pool is made on its worker. It outlives the connections, because the group ends before it.
Task<Result<void>> serve(TcpListener listener, Signals& stop) {
  Result<BufferPool> pool = BufferPool::create({.count = 256, .size = 4096});
  if (!pool) co_return std::unexpected(pool.error());
  const auto until_told = [&](TaskGroup& group) -> Task<void> {
    group.spawn(accept_all(listener, *pool, group));
    (void)co_await stop.next();
    group.cancel();
  };
  const Result<void> served = co_await with_group(until_told);
  (void)co_await listener.close();
  co_return served;
}

int fail(const char* what, const std::error_code& error) {
  return std::fprintf(stderr, "http_hello: %s: %s\n", what, error.message().c_str()), 1;
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0) return std::fputs("usage: http_hello PORT (1 to 65535)\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  if (!stop) return fail("cannot block signals", stop.error());
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener) return fail("cannot listen", listener.error());
  Worker worker;
  const Result<void> started = worker.start();
  if (!started) return fail("cannot start", started.error());
  const Result<void> served = sync_wait(worker.spawn(serve(std::move(*listener), *stop)).value());
  return served ? 0 : fail("cannot serve", served.error());
}
