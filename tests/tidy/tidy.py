#!/usr/bin/env python3
"""The house rules that a compiler does not hold: floors, file and function length, banned calls, include guards, marks left behind;
and the documentation's: a test that a page names exists.

Usage: tidy.py REPOSITORY. Prints one line per breach and exits 1 if there is any.
"""
import pathlib
import re
import sys

# Lower floors first (docs/ARCHITECTURE.md). A room may include itself and rooms of lower floors, plus what SAME_FLOOR allows.
FLOORS = {
    "base": 1, "sys": 2, "io": 2, "http": 3, "store": 3, "auth": 4, "sandbox": 4, "functions": 5, "objects": 5, "queues": 5,
    "runtime": 6, "dispatch": 7, "events": 8, "flows": 8, "usage": 8, "gateway": 9, "dialects": 10, "server": 11, "cli": 11,
}
SAME_FLOOR = {("io", "sys"), ("cli", "server")}

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_LINE_CHARACTERS = 180

# pattern -> (what to use instead, files that may)
BANNED = {
    r"#include <boost/asio": ("io/ is the only room that includes Asio", r"^src/io/"),
    r"\b(std::this_thread::sleep_for|usleep|nanosleep)\b|[^_]\bsleep\(": ("io::sleep_us on a loop", r"^$"),
    r"\b(system_clock|steady_clock)::now": ("a Clock from base/clock.h", r"^src/base/clock\.cc$"),
    r"\b(rand|srand|random)\(|\bstd::(mt19937|random_device)\b": ("an Rng from base/rng.h", r"^$"),
    r"\bstd::(cout|cerr)\b|[^a-z_]printf\(": ("fmt::print", r"^$"),
    r"\b(strcpy|strcat|sprintf|gets|atoi)\(": ("a bounded or checked form", r"^$"),
    r"\bassert\(": ("MAYFLY_CHECK, which stays on in release builds", r"static_assert"),
    r"\b(std::regex|std::async|std::bind)\b": ("a hand-written parser, a Task, a lambda", r"^$"),
}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
MARKS = re.compile(r"\b(TODO|FIXME|XXX)\b|for now\b|not implemented\b")
NOT_A_FUNCTION = re.compile(r"^\s*(namespace|class|struct|enum|union|if|else|for|while|switch|do|try|catch|case|default|extern \"C\" \{|constexpr \w+ k\w+\{)")


def code_files(root):
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in (".h", ".cc"):
            yield path


def indent_of(line):
    return len(line) - len(line.lstrip())


def is_continuation(lines, number):
    """A line of parameters or initialisers that belongs to the line above it."""
    above = lines[number - 1].rstrip()
    return indent_of(lines[number]) > indent_of(lines[number - 1]) and above.endswith((",", "(", ")")) and not above.endswith("{")


def functions(lines):
    """(first line, length) of every function body, by indentation: the closing brace stands under the first line's indent."""
    for number, line in enumerate(lines):
        if not line.rstrip().endswith("{") or NOT_A_FUNCTION.match(line) or ")" not in line or "= [" in line or "([" in line:
            continue
        start = number
        while start > 0 and lines[start].lstrip().startswith((":", ",")) or (start > 0 and start == number and is_continuation(lines, start)):
            start -= 1
        indent = indent_of(lines[start])
        closing = " " * indent + "}"
        for end in range(number + 1, len(lines)):
            if lines[end].startswith(closing):
                yield start + 1, end - start + 1
                break


def check_file(root, path, report):
    name = path.relative_to(root).as_posix()
    room = name.split("/")[1]
    lines = path.read_text().split("\n")
    excused = any("longer than the house rule" in line for line in lines[:12])
    is_test = bool(re.search(r"_(test|fuzz|bench)\.cc$", name))
    if len(lines) > MAX_FILE_LINES and not excused:
        report(name, len(lines), f"file has {len(lines)} lines, the limit is {MAX_FILE_LINES}: split it, or say at its top why it is longer than the house rule")
    if path.suffix == ".h" and not lines[0].startswith("#pragma once"):
        report(name, 1, "a header begins with #pragma once")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE_CHARACTERS and 'R"' not in line and not re.search(r'"[^"]{60,}"', line):
            report(name, number, f"line has {len(line)} characters, the limit is {MAX_LINE_CHARACTERS}")
        include = re.match(r'#include "(\w+)/', line)
        if include and include.group(1) in FLOORS:
            other = include.group(1)
            if room != other and FLOORS[other] >= FLOORS.get(room, 99) and (room, other) not in SAME_FLOOR:
                report(name, number, f"{room} (floor {FLOORS.get(room)}) may not include {other} (floor {FLOORS[other]})")
        code = STRING.sub('""', line).split("//")[0]  # a test's text in another language may call what it likes
        for pattern, (instead, allowed) in BANNED.items():
            if re.search(pattern, code) and not re.search(allowed, name) and not re.search(allowed, code) and not (is_test and "clock" in pattern):
                report(name, number, f"banned: {re.search(pattern, code).group(0).strip()}; use {instead}")
        if MARKS.search(line):
            report(name, number, f"unfinished mark: {MARKS.search(line).group(0)}")
    if not is_test:
        for start, length in functions(lines):
            if length > MAX_FUNCTION_LINES and not excused:
                report(name, start, f"function has {length} lines, the limit is {MAX_FUNCTION_LINES}")


TEST = re.compile(r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST)\(\s*(\w+),\s*(\w+)\s*\)")
NAMED_TEST = re.compile(r"`([A-Z]\w+)\.([A-Z*][\w*]*)(?:/[^`]*)?`")  # `Suite.Name`, `Suite.*`, `Suite.Name/Row`
NAMED_SCRIPT = re.compile(r"`(\w+\.py)`")
# Pages whose words in code type of this form are names of tests; elsewhere they may be a vendor's.
PAGES_OF_TESTS = ("docs/PROMISES.md", "docs/SANDBOX.md", "docs/decisions")


def check_pages(root, report):
    tests = {match for folder in ("src", "sdk") for path in (root / folder).rglob("*.*") if path.suffix in (".h", ".cc") for match in TEST.findall(path.read_text())}
    scripts = {path.name for folder in ("tests", "bench") for path in (root / folder).glob("*.py")}
    for place in PAGES_OF_TESTS:
        page_or_folder = root / place
        for page in sorted(page_or_folder.rglob("*.md")) if page_or_folder.is_dir() else [page_or_folder] * page_or_folder.exists():
            for number, line in enumerate(page.read_text().splitlines(), 1):
                for suite, name in NAMED_TEST.findall(line):
                    wanted = re.compile(name.replace("*", r"\w*"))
                    if (suite, name) != ("Suite", "Test") and not any(suite == each and wanted.fullmatch(other) for each, other in tests):
                        report(page.relative_to(root), number, f"there is no test {suite}.{name}")
                for name in NAMED_SCRIPT.findall(line):
                    if name not in scripts:
                        report(page.relative_to(root), number, f"there is no script {name}")


def main():
    root = pathlib.Path(sys.argv[1])
    breaches = []
    count = 0
    for path in code_files(root):
        check_file(root, path, lambda name, line, text: breaches.append(f"{name}:{line}: {text}"))
        count += 1
    check_pages(root, lambda name, line, text: breaches.append(f"{name}:{line}: {text}"))
    rooms = {p.name for p in (root / "src").iterdir() if p.is_dir()}
    breaches += [f"src/{room}: not in the floor table of tests/tidy/tidy.py" for room in sorted(rooms - FLOORS.keys())]
    print("\n".join(breaches + [f"{count} files, {len(breaches)} breaches"]))
    return 1 if breaches or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
