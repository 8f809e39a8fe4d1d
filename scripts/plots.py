#!/usr/bin/env python3
"""plots.py RUN.json MACHINE.txt [DIRECTORY] — draws charts of one run of `./bench --json` and puts it into BENCHMARKS.md.

DIRECTORY is docs if it is not given. The charts go to its benchmarks/*.svg, and those of an earlier run are deleted.
The tables of the run go to BENCHMARKS.md, between its two markers. MACHINE.txt has lines "what: value". This uses only
the standard library.
"""
import json
import math
import re
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

BEGIN, END = "<!-- run -->", "<!-- end of run -->"


@dataclass
class Record:
    workload: str
    parameters: str
    subject: str
    metric: str
    value: float
    low: float
    high: float
    rounds: int
    baseline: str
    ratio: float | None
    peer: str | None
    ratio_to_peer: float | None
    sure: dict  # kind of figure -> (low, high), which holds with 95 %

    @property
    def number(self):
        """The first number in the parameters: it says where on a curve this record is."""
        return int(re.search(r"\d+", self.parameters).group())


def intervals(entry):
    prefixes = {"value": "", "ratio": "ratio_", "peer": "peer_"}
    return {kind: (entry[f"{prefix}low"], entry[f"{prefix}high"])
            for kind, prefix in prefixes.items() if f"{prefix}low" in entry}


def read_records(path):
    records = []
    for entry in json.loads(Path(path).read_text()):
        (key,) = [key for key in entry if key.startswith("ratio_to_") and key != "ratio_to_peer"]
        records.append(Record(entry["workload"], entry["parameters"], entry["subject"], entry["metric"],
                              entry["value"], entry["min"], entry["max"], entry["rounds"],
                              key.removeprefix("ratio_to_"), entry[key], entry.get("peer"),
                              entry.get("ratio_to_peer"), intervals(entry)))
    if not records:
        raise ValueError(f"{path} has no records")
    return records


def unique(values):
    return list(dict.fromkeys(values))


# ---- numbers ----

def short(value):
    """Formats a value for an axis: 0.5, 200, 4096, 10k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size and value * 10 % size == 0:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def figure(value):
    """Formats a value for a table: three or four digits, or the whole number."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if value == 0 else 1 if value >= 100 else 2 if value >= 1 else 3}f}"


# ---- charts ----

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 590, 50, 345
INK, FAINT, PAPER = "#222", "#d8d8d8", "#fdfdfb"
COLOURS = {"raw": "#444444", "off": "#444444", "raw_multishot": "#9a9a9a", "corering": "#0b62c4", "recorded": "#0b62c4",
           "corering_multishot": "#63b3f5", "epoll": "#c98a00", "asio": "#c22f2f", "asio_uring": "#ee8f86",
           "libuv": "#2e8b45", "pread": "#8a5bb5", "fio": "#9b7653", "raw_spin": "#6b6b6b", "corering_watching": "#1d3f6e", "corering_emulated": "#b0529a",
           "corering_direct": "#00a5b8", "without": "#9a9a9a", "bare": "#8a7f4e"}
OTHERS = "#b08fa3"  # the colour of a subject that has none above


class Scale:
    """Maps values to pixels, and says where the ticks are."""

    def __init__(self, low, high, begin, end, logarithmic):
        self.logarithmic = logarithmic
        self.begin, self.end = begin, end
        self.low, self.high = (low, high)
        if logarithmic and low == high:
            self.low, self.high = low / 2, high * 2

    def __call__(self, value):
        transform = math.log10 if self.logarithmic else float
        share = (transform(value) - transform(self.low)) / (transform(self.high) - transform(self.low))
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1,) if len(decades) > 5 else (1, 2, 5)
            all_ticks = [step * 10.0**decade for decade in decades for step in steps]
            return [tick for tick in all_ticks if self.low <= tick <= self.high]
        step = nice_step(self.high)
        return [step * i for i in range(int(self.high / step + 1e-9) + 1)]


def nice_step(high):
    rough = high / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def y_scale(values, logarithmic):
    high = max(values)
    if logarithmic:
        return Scale(min(values) / 1.2, high * 1.2, BOTTOM, TOP, True)
    step = nice_step(high)
    return Scale(0, step * math.ceil(high * 1.02 / step), BOTTOM, TOP, False)


def text(x, y, words, anchor="middle", size=12, extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{INK}" {extra}>'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def frame(title, x_label, y_label, y):
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>', text(LEFT, 26, title, "start", 15)]
    for tick in y.ticks():
        parts += [line(LEFT, y(tick), RIGHT, y(tick), FAINT), text(LEFT - 8, y(tick) + 4, short(tick), "end")]
    middle = (TOP + BOTTOM) / 2
    parts += [line(LEFT, TOP, LEFT, BOTTOM, INK), line(LEFT, BOTTOM, RIGHT, BOTTOM, INK),
              text((LEFT + RIGHT) / 2, HEIGHT - 14, x_label),
              text(18, middle, y_label, extra=f'transform="rotate(-90 18 {middle})"')]
    return parts


def legend(subjects):
    parts = []
    for i, subject in enumerate(subjects):
        y = TOP + 10 + 20 * i
        parts += [f'<rect x="{RIGHT + 18}" y="{y - 5}" width="14" height="10" fill="{COLOURS.get(subject, OTHERS)}"/>',
                  text(RIGHT + 38, y + 4, subject, "start")]
    return parts


def write_svg(path, parts):
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                    f'height="{HEIGHT}" font-family="sans-serif">\n' + "\n".join(parts) + "\n</svg>\n")


def ticks_with_room(x, numbers):
    """Returns the numbers whose labels do not touch, beginning with the last one."""
    kept = []
    for number in sorted(numbers, reverse=True):
        if not kept or x(kept[-1]) - x(number) > 34:
            kept.append(number)
    return kept


def line_chart(path, records, title, x_label, y_label, log_x=True, log_y=False):
    subjects = unique(record.subject for record in records)
    numbers = unique(record.number for record in records)
    x = Scale(min(numbers), max(numbers), LEFT + 12, RIGHT - 12, log_x)
    y = y_scale([bound for record in records for bound in (record.low, record.high)], log_y)
    parts = frame(title, x_label, y_label, y)
    for number in ticks_with_room(x, numbers):
        parts += [line(x(number), BOTTOM, x(number), BOTTOM + 4, INK),
                  text(x(number), BOTTOM + 18, short(number))]
    for subject in subjects:
        own = sorted((record for record in records if record.subject == subject), key=lambda one: one.number)
        points = " ".join(f"{x(one.number):.1f},{y(one.value):.1f}" for one in own)
        colour = COLOURS.get(subject, OTHERS)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for one in own:
            parts += [line(x(one.number), y(one.low), x(one.number), y(one.high), colour),
                      f'<circle cx="{x(one.number):.1f}" cy="{y(one.value):.1f}" r="3" fill="{colour}"/>']
    write_svg(path, parts + legend(subjects))


def bar_chart(path, groups, title, x_label, y_label, height, reference=None):
    """Draws a group of bars for each label. `height` takes the value to draw from a record."""
    subjects = unique(record.subject for records in groups.values() for record in records)
    y = y_scale([height(record) for records in groups.values() for record in records], False)
    parts = frame(title, x_label, y_label, y)
    room = (RIGHT - LEFT) / len(groups)
    for place, (label, records) in enumerate(groups.items()):
        width = room * 0.8 / len(records)
        for i, record in enumerate(records):
            left = LEFT + room * (place + 0.1) + width * i
            top = y(height(record))
            parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{width * 0.9:.1f}" '
                         f'height="{BOTTOM - top:.1f}" fill="{COLOURS.get(record.subject, OTHERS)}"/>')
        parts.append(text(LEFT + room * (place + 0.5), BOTTOM + 18, label))
    if reference is not None:
        parts.append(line(LEFT, y(reference), RIGHT, y(reference), INK))
    write_svg(path, parts + legend(subjects))


# ---- which charts there are ----

@dataclass
class Curve:
    name: str
    workload: str
    metric: str
    title: str
    x_label: str
    y_label: str
    log_x: bool = True
    log_y: bool = False


TIME = "time (ns/operation)"
CURVES = [
    Curve("depth", "depth", TIME, "nop: cost by depth", "operations in flight", "ns per operation"),
    Curve("connections_cpu", "connections", "server CPU (us/request)", "echo: processor time by connections",
          "connections, one 64-byte message in flight each", "server CPU, us per request", log_y=True),
    Curve("connections_p99", "connections", "p99 (us)", "echo: latency by connections",
          "connections, one 64-byte message in flight each", "p99, us", log_y=True),
    Curve("gaps_cpu", "gaps", "server CPU (us/request)", "one connection whose client thinks: processor time",
          "us between an answer and the next message", "server CPU, us per request"),
    Curve("gaps_p50", "gaps", "p50 (us)", "one connection whose client thinks: latency",
          "us between an answer and the next message", "p50, us"),
    Curve("pending_timers", "pending_timers", TIME, "arm and disarm a timer among others", "timers pending",
          "ns per timer"),
    Curve("tasks", "tasks", TIME, "start, suspend, resume and end a task among others", "tasks suspended",
          "ns per task", log_y=True),
    Curve("posters", "posters", TIME, "post to one worker from several threads", "posting threads",
          "ns per post", log_x=False),
]


def draw_curve(curve, records, directory):
    own = [record for record in records if record.workload == curve.workload and record.metric == curve.metric]
    if not own:
        return None
    line_chart(directory / f"{curve.name}.svg", own, curve.title, curve.x_label, curve.y_label, curve.log_x,
               curve.log_y)
    return curve.name


def grouped(records, label):
    groups = {}
    for record in records:
        groups.setdefault(label(record), []).append(record)
    return groups


def draw_echo(records, directory):
    own = [one for one in records if one.workload == "echo" and one.metric == "server CPU (us/request)"]
    if not own:
        return None
    bar_chart(directory / "echo.svg", grouped(own, lambda one: str(one.number)),
              "echo: processor time compared with hand-written C", "connections", "server CPU, ratio to raw",
              lambda one: one.ratio, reference=1)
    return "echo"


def draw_workers(records, directory):
    own = [record for record in records if record.workload == "workers"]
    if not own:
        return None
    bar_chart(directory / "workers.svg", grouped(own, lambda one: str(one.number)),
              "nop, depth 32, on several workers", "workers, one for each processor",
              "operations per second, all workers", lambda one: one.value)
    return "workers"


def draw_memory(records, directory):
    own = [one for one in records if one.workload == "memory" and one.metric == "memory (bytes/connection)"]
    if not own:
        return None
    bar_chart(directory / "memory.svg", grouped(own, lambda one: str(one.number)),
              "memory of an idle TCP connection", "idle connections, each of which has exchanged a message",
              "bytes of Rss per connection", lambda one: one.value)
    return "memory"


def draw_all(records, directory):
    directory.mkdir(exist_ok=True)
    for old in directory.glob("*.svg"):
        old.unlink()
    drawn = [draw(records, directory) for draw in (draw_echo, draw_memory)]
    drawn += [draw_curve(curve, records, directory) for curve in CURVES]
    drawn.append(draw_workers(records, directory))
    return [name for name in drawn if name is not None]


# ---- the goals of the library ----

@dataclass
class Target:
    """A limit for one figure of one subject: its value, or its ratio to the baseline or to the peer."""
    workload: str
    parameters: str
    metric: str
    kind: str  # value, ratio or peer
    sign: str  # <= or >=
    limit: float
    subject: str = "corering"

    def figure_of(self, record):
        return {"value": record.value, "ratio": record.ratio, "peer": record.ratio_to_peer}[self.kind]

    def words(self, record):
        of = {"value": "", "ratio": f" x {record.baseline}", "peer": f" x {record.peer}"}[self.kind]
        return f"{self.sign} {self.limit:g}{of}"

    def verdict(self, record):
        """Says whether the target is met, in brackets where the rounds differ too much to be sure."""
        met = self.holds_for(self.figure_of(record))
        word = "met" if met else "**not met**"
        sure = record.rounds >= 5 and all(self.holds_for(end) == met for end in record.sure.get(self.kind, [None]))
        return word if sure else f"({word})"

    def holds_for(self, figure):
        return figure is not None and (figure <= self.limit if self.sign == "<=" else figure >= self.limit)


def ratio_targets():
    """For reads the limits come from throughput: at least 0.98 of raw means at most 1.02 of its time, and at least 1.35 of
    Asio means at most 0.74 of its time."""
    for depth in (1, 32, 128):
        yield Target("nop", f"depth {depth}", TIME, "ratio", "<=", 1.05)
    for depth in (1, 32):
        yield Target("read", f"4 KiB cached, depth {depth}", TIME, "ratio", "<=", 1.02)
        yield Target("read", f"4 KiB cached, depth {depth}, registered", TIME, "ratio", "<=", 1.02)
        yield Target("read", f"4 KiB cached, depth {depth}", TIME, "peer", "<=", 0.74)
    for connections in ("1 connection", "50 connections", "200 connections", "1000 connections"):
        yield Target("echo", connections, "throughput (requests/s)", "ratio", ">=", 0.98)
        yield Target("echo", connections, "server CPU (us/request)", "ratio", "<=", 1.03)
    yield Target("echo", "50 connections", "throughput (requests/s)", "peer", ">=", 1.12)
    for connections in ("1 connection", "64 connections"):
        for percent in (10, 50, 90):
            yield Target("rates", f"{percent} % of peak, {connections}", "server CPU (us/request)", "ratio", "<=", 1.05)
    yield Target("post", "existing coroutine", TIME, "ratio", "<=", 1.2)
    yield Target("post", "new task, to raw nodes", TIME, "ratio", "<=", 2.5)
    yield Target("post", "new task, to raw nodes", TIME, "peer", "<=", 0.2)
    yield Target("hop", "round trip", TIME, "ratio", "<=", 1.05)
    yield Target("trace", "off or left out, nop, depth 128", TIME, "ratio", "<=", 1.01, "off")
    yield Target("trace", "off or left out, echo, 50 connections", "server CPU (us/request)", "ratio", "<=", 1.005, "off")
    yield Target("trace", "echo, 50 connections", "server CPU (us/request)", "ratio", "<=", 1.05, "recorded")


def value_targets():
    yield Target("echo", "1 connection", "p50 (us)", "value", "<=", 30, "corering_watching")
    yield Target("hop", "round trip", TIME, "value", "<=", 1000, "corering_watching")
    yield Target("spawn", "create, run, destroy", TIME, "value", "<=", 6)
    yield Target("await", "a task that ends at once", TIME, "value", "<=", 6)
    yield Target("trace", "nop, depth 128", "recording (ns/event)", "value", "<=", 12, "recorded")
    yield Target("idle", "a server without traffic", "wake-ups (in 5 s)", "value", "<=", 0)


def targets_table(records):
    """Lists the targets that have been measured. Values move with the machine, ratios less."""
    by_key = {(one.workload, one.parameters, one.metric, one.subject): one for one in records}
    rows = []
    for target in (*ratio_targets(), *value_targets()):
        record = by_key.get((target.workload, target.parameters, target.metric, target.subject))
        if record is None or target.figure_of(record) is None:
            continue
        times = "" if target.kind == "value" else "x"
        between = " to ".join(f"{end:.2f}" for end in record.sure.get(target.kind, []))
        rows.append([f"{target.workload}, {target.parameters}", target.subject, target.metric, target.words(record),
                     f"{times}{target.figure_of(record):.2f}", between, target.verdict(record)])
    return ["", "### Targets", "",
            *markdown_table(["", "subject", "", "target", "measured", "95 % sure", ""], rows)] if rows else []


# ---- the document ----

def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def ratio_cell(record):
    if record.subject == record.baseline:
        return "1"
    return "" if record.ratio is None else f"x{record.ratio:.2f}"


def plain_table(records):
    """Makes a row for each figure."""
    rows = [[one.parameters, one.subject, one.metric, figure(one.value),
             f"{figure(one.low)} to {figure(one.high)}", ratio_cell(one)] for one in records]
    return markdown_table(["", "subject", "", "median", "min to max", f"to {records[0].baseline}"], rows)


def wide_table(records):
    """Makes a row for each subject, with the medians. Spread and ratio are those of the processor time."""
    metrics = unique(record.metric for record in records)
    rows = []
    for (parameters, subject), own in grouped(records, lambda one: (one.parameters, one.subject)).items():
        by_metric = {record.metric: record for record in own}
        cpu = by_metric["server CPU (us/request)"]
        rows.append([parameters, subject, *(figure(by_metric[metric].value) for metric in metrics),
                     f"{figure(cpu.low)} to {figure(cpu.high)}", ratio_cell(cpu)])
    return markdown_table(["", "subject", *metrics, "CPU, min to max", f"CPU to {records[0].baseline}"], rows)


def tables(records):
    lines = []
    for workload, own in grouped(records, lambda one: one.workload).items():
        table = wide_table if workload in ("echo", "connections", "rates") else plain_table
        lines += ["", f"### {workload}", "", *table(own)]
    return lines


def rounds_of(records):
    """Says how many rounds there were, and which workloads had another number."""
    by_count = grouped(records, lambda one: one.rounds)
    most = max(by_count, key=lambda count: len(unique(one.workload for one in by_count[count])))
    others = [f"{count} for {', '.join(unique(one.workload for one in own))}"
              for count, own in by_count.items() if count != most]
    return ", but ".join([str(most), *filter(None, [" and ".join(others)])])


def run_text(records, machine, drawn):
    facts = [line.split(": ", 1) for line in machine.strip().splitlines()]
    lines = [*markdown_table(["", ""], [*facts, ["rounds", rounds_of(records)]]), ""]
    lines += [f"![{name}](benchmarks/{name}.svg)" for name in drawn]
    return "\n".join([*lines, *targets_table(records), *tables(records)])


def fill(document, inserted):
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"BENCHMARKS.md has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{inserted}\n{END}{after}"


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__.splitlines()[0])
    try:
        docs = Path(arguments[2]) if len(arguments) == 3 else Path(__file__).parent.parent / "docs"
        records = read_records(arguments[0])
        drawn = draw_all(records, docs / "benchmarks")
        document = docs / "BENCHMARKS.md"
        document.write_text(fill(document.read_text(), run_text(records, Path(arguments[1]).read_text(), drawn)))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"plots.py: {error}")


main(sys.argv[1:])
