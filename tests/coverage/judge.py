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
    """The line where a span begins, on one line, the span marked: `read.await«?»;`."""
    first, begin, last, end = span
    # Columns count bytes.
    text = [line.encode() for line in lines[first - 1 : last]]
    before, after = text[0][: begin - 1], text[-1][end - 1 :]
    text[-1] = text[-1][: end - 1]
    text[0] = text[0][begin - 1 :]
    parts = before, b" ".join(text), after
    before, inside, after = (" ".join(part.decode().split()) for part in parts)
    pad = " " if parts[0].endswith(b" ") and before else ""
    return f"{before}{pad}«{inside}»{after}"


def runs(regions):
    """Regions that never ran, those that follow one another taken together: path and span."""
    path, span = None, None
    order = sorted(regions.items(), key=lambda item: (*item[0][:3], -item[0][3], -item[0][4]))
    for (file, *at), count in order:
        if span and (count or file != path):
            yield path, *span
            span = None
        if not count and span:
            span[2:] = max(span[2:], at[2:])
        elif not count:
            path, span = file, at
    if span:
        yield path, *span


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

    texts = {path: source(path) for path, *_ in [*regions, *branches]}
    regions = {at: n for at, n in regions.items() if at[1] <= len(texts[at[0]])}
    branches = {at: n for at, n in branches.items() if at[1] <= len(texts[at[0]])}
    gaps = [(at, "run") for at in runs(regions)]
    for at, taken in branches.items():
        gaps.extend((at, side) for side, n in zip(("true", "false"), taken) if n == 0)
    total = {
        "regions": (len(regions), sum(n == 0 for n in regions.values())),
        "branches": (2 * len(branches), sum(n == 0 for both in branches.values() for n in both)),
    }
    if not regions or not branches:
        sys.exit("tests/coverage: nothing was measured")

    reasons, problems = Counter(), []
    for entry in entries:
        if not entry.get("why", "").strip():
            problems.append(f"{entry['file']}: no reason for {entry['code']}")
        reasons[entry["file"], entry["never"], entry["code"]] += entry.get("times", 1)

    justified = 0
    for (path, *span), never in sorted(gaps):
        code = marked(texts[path], span)
        if reasons[path, never, code] > 0:
            reasons[path, never, code] -= 1
            justified += 1
        else:
            problems.append(f"{path}:{span[0]}:{span[1]}: never {never}: {code}")
    for (path, never, code), left in reasons.items():
        if left > 0:
            problems.append(f"{path}: no gap any more (never {never}): {code}")

    for problem in problems:
        print(problem, file=sys.stderr)
    for kind, (there, missed) in total.items():
        print(f"{kind} of decide and guard: {there - missed} of {there} taken")
    print(f"gaps: {len(gaps)}, of which {justified} have a reason")
    if problems:
        sys.exit(
            "tests/coverage: write the test that is missing, remove what is dead, or give the gap "
            f"its reason in {listed}"
        )


main()
