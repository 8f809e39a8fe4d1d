#!/usr/bin/env bash
# Looks in sources for what g++ 12 compiles wrongly in coroutines (docs/STYLE.md), because g++ itself says nothing.
#   scripts/check_gcc12.sh FILE-OR-FOLDER...
# It reads text, and does not know types: with [1] and [2] a type whose members are all trivial, and with [1] one that has a
# constructor of its own, is in no danger. A line that ends with the comment "gcc12: fine" is not reported.
# The status is 1 if something was found, 2 if a file cannot be read.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 FILE-OR-FOLDER..." >&2; exit 2; }
exec python3 - "$@" << 'END'
import os, pathlib, re, sys

ADVICE = {
    1: "a temporary made with braces, or a lambda that captures by value, beside a co_await or co_yield is destroyed twice: "
       "give it a name, and use std::move(name)",
    2: "'?:' with a co_await is destroyed twice: use if and else",
    3: "two co_awaits inside one pair of braces are destroyed twice: give each result a name",
    4: "a list of string literals beside a co_await is laid out wrongly: give the list a name",
    5: "a co_await in the condition of an if or while may never resume: give its result a name",
}

def without_comments_and_texts(code):
    """The same length, with comments blank and the content of literals replaced."""
    pattern = r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*(?:.|\n)*?\*/|^[ \t]*#(?:[^\n\\]|\\\n|\\.)*'
    def blank(found):
        text = found[0]
        if text.startswith(("/", "#", " ", "\t")):
            return re.sub(r"[^\n]", " ", text)
        quote = "'" if text[0] == "'" else '"'
        return quote + re.sub(r"[^\n]", "s", text[1:-1]) + quote
    return re.sub(pattern, blank, code, flags=re.M)

BLOCK = re.compile(r"(\)|\b(else|do|try|noexcept|mutable|const|override|final)|(\)|\])\s*(mutable\s*|noexcept\s*)*->\s*[\w:<>,\s&*]+|"
                   r"\b(namespace|struct|class|union|enum|requires|extern)\b[^;{}=]*|\]|[;{}])\s*$")

def is_block(code, at):
    before = code[max(0, at - 300):at].rstrip()
    if not before: return True
    # A constructor's list ends with a closing parenthesis or brace; what follows is its body.
    return bool(BLOCK.search(before))

def statements(code):
    """Yields (start, text) of each statement, with the bodies inside it blank."""
    class Block:
        def __init__(self, start):
            self.start, self.statement, self.depth, self.inner = start, start, 0, []
        def next_statement(self, at):
            self.statement, self.inner = at + 1, []
    open_blocks, braces = [Block(0)], []  # for each open brace: is it a block?
    for at, c in enumerate(code):
        block = open_blocks[-1]
        if c == "{":
            braces.append(is_block(code, at))
            if not braces[-1]:
                block.depth += 1
                continue
            if block.depth == 0:  # an if, a loop, a function: what stands before the brace is a statement
                yield block.statement, body_of(code, block.statement, at, block.inner)
            open_blocks.append(Block(at + 1))
        elif c == "}" and braces:
            if not braces.pop():
                block.depth -= 1
                continue
            yield block.statement, body_of(code, block.statement, at, block.inner)
            open_blocks.pop()
            if open_blocks[-1].depth == 0:
                open_blocks[-1].next_statement(at)
            else:
                open_blocks[-1].inner.append((block.start, at))
        elif c in "([":
            block.depth += 1
        elif c in ")]":
            block.depth = max(0, block.depth - 1)
        elif c == ";" and block.depth == 0:
            yield block.statement, body_of(code, block.statement, at, block.inner)
            block.next_statement(at)

def body_of(code, start, end, inner):
    text = list(code[start:end])
    for begin, stop in inner:
        for i in range(begin - start, stop - start):
            if text[i] != "\n": text[i] = " "
    return "".join(text)

def matching(text, at):
    depth, pairs = 0, {"(": ")", "{": "}", "[": "]"}
    close = pairs[text[at]]
    for i in range(at, len(text)):
        depth += (text[i] == text[at]) - (text[i] == close)
        if depth == 0: return i
    return len(text)

AWAIT = re.compile(r"(?<!operator )\bco_(await|yield)\b")

def captures_by_value(text, at):
    before = text[:at].rstrip()
    if text.startswith("[[", at) or (before and before[-1] not in "(,={;&|!?:" and not before.endswith(("return", "await", "yield"))):
        return False
    end = matching(text, at)
    if not re.match(r"\s*[({<]|\s*(mutable|noexcept)\b", text[end + 1:]): return False
    captured = [one.strip() for one in re.split(r",(?![^(<{]*[)>}])", text[at + 1:end]) if one.strip()]
    return any(not one.startswith("&") and one != "this" for one in captured)

def found_in(text):
    for m in re.finditer(r"\b(if|while)\s*(constexpr\s*)?\(", text):
        inside = text[m.end() - 1:matching(text, m.end() - 1)]
        hit = AWAIT.search(inside)
        if hit: yield m.end() - 1 + hit.start(), 5
    for m in re.finditer(r"\?", text):
        hit = AWAIT.search(text, m.end())
        if hit: yield hit.start(), 2
    if not AWAIT.search(text): return
    for m in re.finditer(r"[{\[]", text):
        if m[0] == "[":
            if captures_by_value(text, m.start()): yield m.start(), 1
            continue
        content = text[m.start() + 1:matching(text, m.start())]
        if len(AWAIT.findall(content)) > 1:
            yield m.start(), 3
        elif re.fullmatch(r'\s*"s*"(\s*,\s*"s*")*\s*,?\s*', content):
            yield m.start(), 4
        elif content.strip() and not AWAIT.search(content) and re.search(r"([\w>]|[(,])\s*$", text[:m.start()]):
            yield m.start(), 1

def sources(names):
    for name in map(pathlib.Path, names):
        if name.is_dir():
            yield from sorted(p for p in name.rglob("*") if p.suffix in (".cpp", ".hpp", ".cc", ".hh", ".cxx", ".hxx", ".h", ".ipp"))
        else:
            yield name

status = 0
for path in sources(sys.argv[1:]):
    try:
        original = path.read_text(errors="replace")
    except OSError as error:
        sys.exit((print(f"{path}: {error.strerror}", file=sys.stderr), 2)[1])
    code, lines = without_comments_and_texts(original), original.split("\n")
    reported = set()
    for start, text in statements(code):
        for at, number in found_in(text):
            line = code.count("\n", 0, start + at) + 1
            if (line, number) in reported or lines[line - 1].rstrip().endswith("gcc12: fine"): continue
            reported.add((line, number))
    for line, number in sorted(reported):
        print(f"{path}:{line}: [{number}] {ADVICE[number]}")
        status = 1
sys.exit(status)
END
