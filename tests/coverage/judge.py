#!/usr/bin/env python3
"""Judges what `llvm-cov export` says of the core against the list of gaps that have a reason.

    tests/coverage/judge.py EXPORT.json GAPS.toml

Two kinds of gap count: a region that never ran (a function, a block, an arm of a `match`, the way
out of a `?`), and a condition that was never true, or never false. Code that is compiled several
times (a generic function, the library with and without its tests) counts as run where any of its
copies ran.

Fails on a gap that is not in the list, on an entry of the list that is no gap any more, and on an
entry without a reason.
"""

import json
import os
import sys
import tomllib
from collections import Counter, defaultdict

CODE, BRANCH = 0, 4
CORE = ("src/decide.rs", "src/decide/", "src/guard.rs", "src/guard/")


def source(path):
    """A file's lines, up to its tests; nothing for a file of tests."""
    if path.endswith("/tests.rs"):
        return []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    ends = (number for number, line in enumerate(lines) if line.strip() == "#[cfg(test)]")
    return lines[: next(ends, len(lines))]


def marked(lines, span):
    """The line where a span begins, the span marked: `read.await«?»;`."""
    first, begin, last, end = span
    line = lines[first - 1]
    # Columns count bytes.
    raw = line.encode()
    stop = end - 1 if last == first else len(raw)
    parts = raw[: begin - 1], raw[begin - 1 : stop], raw[stop:]
    before, inside, after = (part.decode(errors="replace") for part in parts)
    return f"{before}«{inside}»{after}".strip()


def counts(export, root):
    """How often each region ran, and each condition held and did not, over all copies."""
    regions, branches = defaultdict(int), defaultdict(lambda: [0, 0])
    for function in export["data"][0]["functions"]:
        names = [os.path.relpath(name, root) for name in function["filenames"]]
        for *span, count, file, _, kind in function["regions"]:
            if kind == CODE and names[file].startswith(CORE):
                regions[names[file], *span] += count
        for *span, true, false, file, _, kind in function["branches"]:
            if kind == BRANCH and names[file].startswith(CORE):
                seen = branches[names[file], *span]
                seen[0] += true
                seen[1] += false
    return regions, branches


def main():
    export, listed = sys.argv[1:]
    root = os.getcwd()
    with open(export, encoding="utf-8") as file:
        regions, branches = counts(json.load(file), root)
    with open(listed, "rb") as file:
        entries = tomllib.load(file).get("gap", [])

    texts = {}
    gaps, total = [], Counter()

    def note(place, never, count):
        path, *span = place
        lines = texts.setdefault(path, source(path))
        if span[0] > len(lines):
            return
        total["regions" if never == "run" else "branches"] += 1
        if count == 0:
            gaps.append((path, span[0], span[1], never, marked(lines, span)))

    for place, count in regions.items():
        note(place, "run", count)
    for place, (true, false) in branches.items():
        note(place, "true", true)
        note(place, "false", false)
    if not total["branches"] or not total["regions"]:
        sys.exit("tests/coverage: nothing was measured")

    reasons, problems = Counter(), []
    for entry in entries:
        if not entry.get("why", "").strip():
            problems.append(f"{entry['file']}: no reason for {entry['code']}")
        reasons[entry["file"], entry["never"], entry["code"]] += entry.get("times", 1)

    justified = Counter()
    for path, line, column, never, code in sorted(gaps):
        if reasons[path, never, code] > 0:
            reasons[path, never, code] -= 1
            justified["regions" if never == "run" else "branches"] += 1
        else:
            problems.append(f"{path}:{line}:{column}: never {never}: {code}")
    for (path, never, code), left in reasons.items():
        if left > 0:
            problems.append(f"{path}: no gap any more (never {never}): {code}")

    for problem in problems:
        print(problem, file=sys.stderr)
    for kind in ("regions", "branches"):
        open_ = sum((never == "run") == (kind == "regions") for *_, never, _ in gaps)
        print(
            f"{kind} of decide and guard: {total[kind] - open_} of {total[kind]} covered, "
            f"{justified[kind]} not and justified"
        )
    if problems:
        sys.exit(
            "tests/coverage: write the test that is missing, remove what is dead, or give the gap "
            f"its reason in {listed}"
        )


main()
