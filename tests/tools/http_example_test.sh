#!/usr/bin/env bash
# http_example_test.sh BIN — tests http_hello with curl, and with clients that split, join and break off their requests.
set -euo pipefail
bin=$1
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
for tool in curl python3; do
  command -v $tool > /dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done

port=$(free_port)
start "$bin/http_hello" "$port"; http=$server
wait_for_port "$port"
url=http://127.0.0.1:$port

# curl makes two requests on one connection. HEAD is GET without the body.
curl -sS --max-time 60 -w '%{num_connects}\n' "$url/a" "$url/b?c=d" > "$dir/got" || fail "curl ended with $?"
printf 'You asked for /a\n1\nYou asked for /b?c=d\n0\n' | cmp - "$dir/got" || fail "curl got: $(cat "$dir/got")"
curl -sS --max-time 60 -D "$dir/get" -o /dev/null "$url/some" || fail "curl ended with $?"
curl -sS --max-time 60 -I "$url/some" > "$dir/head" || fail "curl -I ended with $?"
cmp "$dir/get" "$dir/head" || fail "GET and HEAD differ: $(cat "$dir/get" "$dir/head")"
grep -q '^Content-Length: 20' "$dir/head" || fail "no length: $(cat "$dir/head")"
grep -q '^Content-Type: text/plain' "$dir/head" || fail "no type: $(cat "$dir/head")"
code=$(curl -sS --max-time 60 -o /dev/null -w '%{http_code}' -d some=thing "$url/") || fail "curl -d ended with $?"
[ "$code" = 405 ] || fail "POST was answered with $code"

cat > "$dir/clients.py" << 'END'
import os, socket, struct, sys, threading, time

port, pid = int(sys.argv[1]), sys.argv[2]

class Client:
    def __init__(self, *sends):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        for data in sends:
            self.send(data)

    def send(self, data):
        self.socket.sendall(data.encode("latin-1"))
        return self

    def answer(self, has_body=True):
        """The status, the fields and the body of the next answer."""
        status = self.file.readline().decode()
        assert status.startswith("HTTP/1.1 ") and status.endswith("\r\n"), status
        fields = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, value = line.decode().rstrip("\r\n").split(": ")
            fields[name] = value
        length = int(fields["Content-Length"])
        return int(status.split()[1]), fields, self.file.read(length).decode() if has_body else None

    def expect(self, target):
        status, fields, body = self.answer()
        assert (status, body) == (200, f"You asked for {target}\n"), (status, body)
        assert fields["Content-Type"] == "text/plain" and "Connection" not in fields, fields
        return self

    def expect_last(self, expected, has_body=True):
        status, fields, _ = self.answer(has_body)
        assert status == expected and fields.get("Connection") == "close", (status, fields)
        assert self.file.read() == b"", "something came behind the last answer"
        return fields

    def data_segments(self):  # tcpi_data_segs_in
        return struct.unpack_from("I", self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)[0]

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

stories = []
def story(told):
    stories.append(told)
    return told

def get(target, fields="", version="HTTP/1.1", method="GET"):
    return f"{method} {target} {version}\r\nHost: here\r\n{fields}\r\n"

def open_files():
    return len(os.listdir(f"/proc/{pid}/fd")) if os.path.exists("/proc/self") else 0  # who has no /proc cannot count

@story
def two_requests_on_one_connection():
    Client(get("/1")).expect("/1").send(get("/2")).expect("/2")

@story
def what_came_together_is_answered_in_order_with_one_write():
    client = Client(get("/1") + get("/2", method="HEAD") + get("/3"))
    client.expect("/1")
    assert client.answer(has_body=False)[0] == 200
    client.expect("/3")
    assert client.data_segments() == 1, client.data_segments()

@story
def a_head_may_come_byte_by_byte():
    client = Client(*get("/" + "x" * 50))
    client.expect("/" + "x" * 50).send(get("/2")).expect("/2")

@story
def a_head_may_begin_behind_another_one():
    client = Client(get("/1") + get("/2")[:9]).expect("/1")
    client.send(get("/2")[9:] + get("/3")).expect("/2").expect("/3")

@story
def the_target_is_only_text():
    Client(get("/<script>alert(1)</script>")).expect("/<script>alert(1)</script>")

@story
def what_is_no_request_is_400():
    lines = ["", "GET", "GET /", " GET / HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / x HTTP/1.1", "GET / FTP/1.1",
             "GET / http/1.1", "GET /\x1b[31m HTTP/1.1", "GET /\xe9 HTTP/1.1", "\x16\x03\x01 / HTTP/1.1", "GET / HTTP/1.1\r\nname",
             "GET / HTTP/1.1\r\nname : value", "GET / HTTP/1.1\r\na: b\r\n folded: c", "GET / HTTP/1.1\r\n: value"]
    for line in lines:
        Client(line + "\r\n\r\n" + get("/")).expect_last(400)

@story
def other_methods_are_405():
    client = Client(get("/1", method="DELETE"))
    status, fields, _ = client.answer()
    assert (status, fields["Allow"]) == (405, "GET, HEAD") and "Connection" not in fields, fields
    client.send(get("/2")).expect("/2")
    assert Client(get("/", method="get")).answer()[0] == 405

@story
def what_may_be_a_body_is_no_request():
    for field in ["Content-Length: 5", "content-LENGTH:5", "Transfer-Encoding: chunked"]:
        assert Client(get("/", f"{field}\r\n", method="POST") + get("/body")).expect_last(405)["Allow"] == "GET, HEAD"
        Client(get("/", f"{field}\r\n") + get("/body")).expect_last(200)

@story
def who_still_sends_a_body_is_not_reset():
    client = Client(get("/", "Content-Length: 1000000\r\n", method="POST"))
    client.expect_last(405)
    for _ in range(10): client.send("x" * 100000)

@story
def a_head_has_at_most_8_kib():
    fields = f"Fill: {'x' * (8192 - len(get('/', 'Fill: ' + chr(13) + chr(10))))}\r\n"
    assert len(get("/", fields)) == 8192
    Client(get("/", fields)).expect("/")
    Client(get("/1") + get("/", fields)).expect("/1").expect("/")
    Client(get("/x", fields)).expect_last(431)
    Client(get("/1") + get("/x", fields)).expect("/1").expect_last(431)
    Client(get("/", fields)[:-4] + "xxxx").expect_last(431)
    endless = Client("GET / HTTP/1.1\r\n")
    try:
        for _ in range(1000): endless.send("name: value\r\n" * 100)
    except OSError: pass  # it no longer listens
    Client(get("/")).expect("/")

@story
def other_versions_are_505():
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.10"]:
        Client(get("/", version=version) + get("/")).expect_last(505)

@story
def connection_close_is_honoured():
    for value in ["close", "Close", "foo, CLOSE"]:
        Client(get("/1") + get("/2", f"connection: {value}\r\n") + get("/3")).expect("/1").expect_last(200)
    Client(get("/", "Connection: close\r\n", method="HEAD")).expect_last(200, has_body=False)
    Client(get("/1", "Connection: keep-alive\r\n") + get("/2")).expect("/1").expect("/2")

@story
def http_1_0_closes():
    Client(get("/", version="HTTP/1.0")).expect_last(200)
    Client("GET / HTTP/1.0\r\n\r\n").expect_last(200)

@story
def who_breaks_off_leaves_nothing_behind():
    before = open_files()
    for i in range(100):
        client = Client(get("/1")[:i % 20 + 1])
        client.reset() if i % 2 else client.close()
    Client(get("/")).expect("/")  # so those before have been accepted
    for _ in range(400):
        if open_files() <= before: break
        time.sleep(0.05)
    assert open_files() <= before, f"{open_files()} open files, before {before}"

@story
def fifty_at_once():
    failed = []
    def talk(i):
        try:
            client = Client()
            for n in range(20): client.send(get(f"/{i}/{n}")).expect(f"/{i}/{n}")
        except BaseException as error: failed.append(error)
    threads = [threading.Thread(target=talk, args=(i,)) for i in range(50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failed, failed

@story
def who_waits_holds_no_buffer():  # there are 256
    idle = [Client(get("/1")).expect("/1") for _ in range(300)]
    begun = [Client(get("/1") + "GET /2").expect("/1") for _ in range(300)]
    Client(get("/")).expect("/")
    for client in idle: client.send(get("/2")).expect("/2")
    for client in begun: client.send(" HTTP/1.1\r\n\r\n").expect("/2")

for told in stories:
    try:
        told()
    except Exception as error:
        sys.exit(f"{told.__name__}: {type(error).__name__}: {error}")
print(len(stories))
END
stories=$(timeout 120 python3 "$dir/clients.py" "$port" "$http") || fail "the story above"
[ "$stories" -eq 16 ] || fail "told $stories stories"

# When it is told to stop while connections are open, it ends at once and frees its port.
expect 1 "cannot listen: Address already in use" "$bin/http_hello" "$port"
exec 3<> "/dev/tcp/127.0.0.1/$port"
printf 'GET /1 HTTP/1.1\r\n\r\nGET' >&3
read -r -t 10 line <&3 || fail "no answer"
stop "$http" TERM
exec 3>&-
start "$bin/http_hello" "$port"; http=$server
wait_for_port "$port"
stop "$http" INT
for bad in "" x 0 65536; do expect 2 "usage: http_hello PORT" "$bin/http_hello" "$bad"; done
expect 2 "usage: http_hello PORT" "$bin/http_hello"
if grep -qv '^corering: io_uring cannot be used here .* runs on the emulation' "$dir/log"; then fail "it complained"; fi
echo "curl and $stories stories of clients agree"
