#!/usr/bin/env python3
"""scripts/documents.py [--check] PROGRAMS [PAGE...] — writes what commands print into the pages that show it.

A page shows a command by the line <!-- $ COMMAND --> before a block. Each command runs in bash, in a new
folder, with the recordings of examples/stall.cpp in it (slow.crt, mended.crt), with PROGRAMS, the folder of
corering's programs, on the path, and with the sources in $TOP. With --check nothing is written: the pages must have the same structure,
which is what is left when figures and lengths of time may differ."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent
block = re.compile(r"(<!-- \$ (?P<command>[^\n]*) -->\n```(?P<language>\w*)\n)(?P<text>.*?)(```\n)", re.DOTALL)
attempts = 10  # a machine that is busy elsewhere makes other waits the slowest ones


def run(command, folder, programs):
    environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", LC_ALL="C.UTF-8", TOP=str(root))
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    if done.returncode != 0:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def record(folder, programs):
    if not any(".crt" in page.read_text() for page in pages()):
        return
    run("CORERING_TRACE=full,file=slow.crt stall > slow.txt && "
        "CORERING_TRACE=full,file=mended.crt stall --mended > mended.txt", folder, programs)


def structure(text):
    """The lines without figures, units of time and columns. Of several equal ones that follow each other, one."""
    lines = []
    for line in text.splitlines():
        line = re.sub(r"\d+(\.\d+)?", "0", line)
        line = re.sub(r"0 (ns|µs|ms|s)\b", "0 s", line)
        line = re.sub(r"[ \t]+", " ", line).strip().replace("-0", "0")
        line = re.sub(r" \[\+0 s\]$| \(not observed\)$", "", line)  # root sees more
        line = line.replace(", and had no processor for 0 s of it", "")  # nor does a busy machine change it
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def pages():
    wanted = [pathlib.Path(name).resolve() for name in arguments()[1:]]
    return wanted or [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def arguments():
    return [word for word in sys.argv[1:] if word != "--check"]


def write(folder, programs):
    record(folder, programs)
    for page in pages():
        text = page.read_text()
        new = block.sub(lambda found: found[1] + run(found["command"], folder, programs) + found[5], text)
        if new != text:
            page.write_text(new)
            print(f"wrote {page.relative_to(root)}")


def differences(folder, programs):
    record(folder, programs)
    for page in pages():
        for found in block.finditer(page.read_text()):
            wanted, got = structure(found["text"]), structure(run(found["command"], folder, programs))
            if wanted != got:
                yield (f"{page.relative_to(root)}: `{found['command']}` has changed\n  the page: " + "\n            ".join(wanted) +
                       "\n  now:      " + "\n            ".join(got))


def check(programs):
    shown = sum(len(block.findall(page.read_text())) for page in pages())
    if shown < 5:
        sys.exit(f"only {shown} commands are shown: is the pattern wrong?")
    for attempt in range(attempts):
        with tempfile.TemporaryDirectory() as folder:
            found = list(differences(folder, programs))
        if not found:
            print(f"{shown} commands print what the pages show (attempt {attempt + 1})")
            return
    sys.exit("\n".join(found) + "\nif that is right, run scripts/documents.py")


def main():
    words = arguments()
    if not words or not pathlib.Path(words[0], "iotrace").exists():
        sys.exit("usage: scripts/documents.py [--check] PROGRAMS [PAGE...], a folder with iotrace and stall, as build/release/bin")
    programs = pathlib.Path(words[0]).resolve()
    if "--check" in sys.argv and "emulated" in run("corering kernel", ".", programs):
        print("skipped: the pages were made with the real io_uring")
        sys.exit(77)
    if "--check" in sys.argv:
        return check(programs)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, programs)


main()
