#!/usr/bin/env bash
# bench_test.sh BINARIES SOURCE — the harness refuses what it does not know, its servers echo, and a run becomes charts.
set -euo pipefail
binaries=$1 source=$2
dir=$(mktemp -d)
. "$(dirname "$0")/support.sh"
trap clean_up EXIT
[ "$("$binaries/corering" kernel)" = io_uring ] || { echo "skipped: about the real ring: hand-written C stands beside it"; exit 77; }
bench=$binaries/corering_bench

expect 2 "unknown workload 'nonsense'" "$bench" nop nonsense
expect 2 "pending_timers" "$bench" nonsense
expect 2 "--rounds needs a number above 0, not '0'" "$bench" --rounds 0
expect 2 "--rounds needs a number above 0, not ''" "$bench" --rounds
expect 1 "memory, of an idle connection, 5000, raw: needs 5065 open files, but the hard limit is 500" \
  bash -c "ulimit -n 500; '$bench' --rounds 1 memory"
expect 1 "CORERING_MASK names something" env CORERING_MASK=nonsense timeout 60 "$bench" --rounds 1 send
expect 1 "cannot start fio (Debian package fio)" env PATH=/nonexistent "$bench" --rounds 1 read

# Each server sends everything back, even more than its buffer holds. It survives a client that resets the
# connection. It ends when its input ends.
cat > "$dir/echoes.py" <<'CHECK'
import random, socket, struct, subprocess, sys

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
port = int(server.stdout.readline())
with socket.create_connection(("127.0.0.1", port), timeout=10) as rude:
    rude.sendall(b"never mind")
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
    for size in (1, 64, 2048, 2049, 10000):
        sent = random.randbytes(size)
        client.sendall(sent)
        got = b""
        while len(got) < size:
            piece = client.recv(size - len(got))
            assert piece, "the server has ended the connection"
            got += piece
        assert got == sent, "other bytes came back"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b"", "the server keeps the connection"
server.stdin.close()
assert server.wait(10) == 0, "it does not end well"
CHECK
for server in echo_raw echo_raw_multishot echo_epoll echo_uv echo_asio echo_asio_uring echo_corering \
              "echo_raw spin" "echo_corering multishot" "echo_corering direct" "echo_corering watching" "echo_corering recorded"; do
  # shellcheck disable=SC2086
  python3 "$dir/echoes.py" "$binaries"/$server > "$dir/log" 2>&1 || fail "$server"
done
expect 2 "usage: echo_corering" "$binaries/echo_corering" nonsense

# A run prints JSON.
"$bench" --json --rounds 2 hop > "$dir/hop.json" 2> "$dir/log" || fail "hop as JSON"
grep -Eq '^hop, round trip, corering_emulated: time \(ns/operation\) +<= 1.2 x corering +x.*\((held|MISSED)\)$' "$dir/log" ||
  fail "what is promised of hop"
python3 - "$dir/hop.json" > "$dir/log" 2>&1 <<'CHECK' || fail "the JSON is not as expected"
import json, sys
raw, spin, ours, watching, emulated = json.load(open(sys.argv[1]))
assert set(raw) == {"workload", "parameters", "subject", "metric", "value", "min", "max", "rounds", "ratio_to_raw",
                    "low", "high", "ratio_low", "ratio_high"}
assert (raw["subject"], raw["ratio_to_raw"], raw["rounds"]) == ("raw", 1, 2)
assert ours["subject"] == "corering" and ours["min"] <= ours["value"] <= ours["max"] and ours["ratio_to_raw"] > 0
# With two rounds the interval covers both.
assert (ours["low"], ours["high"]) == (ours["min"], ours["max"]) and ours["ratio_low"] <= ours["ratio_high"]
assert [row["subject"] for row in (spin, watching, emulated)] == ["raw_spin", "corering_watching", "corering_emulated"]
CHECK

# Records become charts and tables.
mkdir "$dir/docs"
printf '# Before\n<!-- run -->\nold\n<!-- end of run -->\nafter\n' > "$dir/docs/BENCHMARKS.md"
printf 'kernel: of the test\n' > "$dir/machine.txt"
python3 - > "$dir/run.json" <<'CHECK'
import json
records = []
for workload, parameters, metrics in [
        ("depth", ["depth 1", "depth 4096"], ["time (ns/operation)"]),
        ("workers", ["1 worker", "2 workers"], ["throughput (operations/s)"]),
        ("memory", ["of an idle connection, 5000"], ["memory (bytes/connection)"]),
        ("echo", ["1 connection", "50 connections"], ["throughput (requests/s)", "server CPU (us/request)", "p99 (us)"]),
        ("rates", ["10 % of peak, 1 connection"], ["server CPU (us/request)", "p50 (us)", "p99 (us)"]),
        ("connections", ["8 connections"], ["server CPU (us/request)", "p99 (us)"])]:
    records += [{"workload": workload, "parameters": one, "subject": subject, "metric": metric, "value": 1234.5, "min": 1,
                 "max": 2000, "rounds": 2 if workload == "connections" else 5, "ratio_to_raw": 1.25, "peer": "asio", "ratio_to_peer": 0.5,
                 "low": 1000, "high": 1500, "ratio_low": 1.01, "ratio_high": 1.5, "peer_low": 0.4, "peer_high": 0.6}
                for one in parameters for subject in ("raw", "corering") for metric in metrics]
print(json.dumps(records))
CHECK
"$source/scripts/plots.py" "$dir/run.json" "$dir/machine.txt" "$dir/docs" > "$dir/log" 2>&1 || fail "plots.py"
python3 - "$dir/docs" > "$dir/log" 2>&1 <<'CHECK' || fail "what plots.py wrote is not as expected"
import pathlib, sys
from xml.etree import ElementTree
docs = pathlib.Path(sys.argv[1])
charts = {chart.stem for chart in (docs / "benchmarks").glob("*.svg")}
assert charts == {"depth", "workers", "memory", "echo", "connections_cpu", "connections_p99"}, charts
for chart in charts:
    ElementTree.parse(docs / "benchmarks" / f"{chart}.svg")
page = (docs / "BENCHMARKS.md").read_text()
assert page.startswith("# Before\n<!-- run -->\n") and page.endswith("<!-- end of run -->\nafter\n") and "old" not in page
for text in ("| kernel | of the test |", "| rounds | 5, but 2 for connections |", "| depth 4096 | corering | time (ns/operation) | 1,234 | 1.00 to 2,000 | x1.25 |",
             "| 50 connections | corering | 1,234 | 1,234 | 1,234 | 1.00 to 2,000 | x1.25 |", "![echo](benchmarks/echo.svg)",
             "| 10 % of peak, 1 connection | corering | 1,234 | 1,234 | 1,234 | 1.00 to 2,000 | x1.25 |",
             "| rates, 10 % of peak, 1 connection | corering | server CPU (us/request) | <= 1.05 x raw | x1.25 | 1.01 to 1.50 | (**not met**) |",
             "| echo, 50 connections | corering | throughput (requests/s) | >= 0.98 x raw | x1.25 | 1.01 to 1.50 | met |",
             "| echo, 50 connections | corering | server CPU (us/request) | <= 1.03 x raw | x1.25 | 1.01 to 1.50 | (**not met**) |",
             "| echo, 50 connections | corering | throughput (requests/s) | >= 1.12 x asio | x0.50 | 0.40 to 0.60 | **not met** |"):
    assert text in page, text
CHECK
echo "[]" > "$dir/run.json"
expect 1 "has no records" "$source/scripts/plots.py" "$dir/run.json" "$dir/machine.txt" "$dir/docs"
echo "all kept"
