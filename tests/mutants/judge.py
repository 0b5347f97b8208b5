#!/usr/bin/env python3
"""Judges what cargo-mutants found against the list of survivors that have a reason.

    tests/mutants/judge.py decide|guard CRATE SURVIVORS.toml

Fails on a mutant that no test noticed and that is not in the list, on one of `decide` that ran out
of time, on an entry of the list whose mutant is noticed or gone, and on an entry without a reason.
"""

import json
import sys
import tomllib
from collections import Counter


def marked(path, span):
    """The line where a mutant's place begins, the place marked: `within.len() «<» limit`."""
    with open(path, encoding="utf-8") as file:
        line = file.read().split("\n")[span["start"]["line"] - 1]
    begin = span["start"]["column"] - 1
    one = span["end"]["line"] == span["start"]["line"]
    end = span["end"]["column"] - 1 if one else len(line)
    return f"{line[:begin]}«{line[begin:end]}»{line[end:]}".strip()


def main():
    what, crate, listed = sys.argv[1:]
    with open(f"{crate}/mutants.out/outcomes.json", encoding="utf-8") as file:
        results = [o for o in json.load(file)["outcomes"] if o["scenario"] != "Baseline"]
    with open(listed, "rb") as file:
        entries = tomllib.load(file).get("survivor", [])

    reasons, problems, ends, explained = Counter(), [], Counter(), 0
    for entry in entries:
        if not entry.get("why", "").strip():
            problems.append(f"{entry['file']}: no reason for {entry['code']}")
        if entry["file"].startswith((f"src/{what}.rs", f"src/{what}/")):
            reasons[entry["file"], entry["becomes"], entry["code"]] += 1

    for outcome in results:
        mutant, end = outcome["scenario"]["Mutant"], outcome["summary"]
        ends[end] += 1
        # The guard's loops end by what it decides: a mutant of it that loops for ever is noticed.
        if end == "Timeout" and what == "decide":
            problems.append(f"{mutant['name']}: ran out of time")
        if end != "MissedMutant":
            continue
        path, becomes = mutant["file"], mutant["replacement"]
        key = path, becomes, marked(f"{crate}/{path}", mutant["span"])
        if reasons[key] > 0:
            reasons[key] -= 1
            explained += 1
        else:
            problems.append(f"{mutant['name']}: no test noticed it: {key[2]}")
    for (path, becomes, code), left in reasons.items():
        if left > 0:
            problems.append(f"{path}: no survivor any more: {code} becomes {becomes or 'nothing'}")

    for problem in problems:
        print(problem, file=sys.stderr)
    print(
        f"{sum(ends.values())} mutants: {ends['CaughtMutant']} noticed, {ends['Unviable']} do not "
        f"compile, {ends['Timeout']} ran out of time, {ends['MissedMutant']} survived, "
        f"{explained} of them with a reason"
    )
    if not ends["CaughtMutant"]:
        sys.exit("tests/mutants: nothing was tried")
    if problems:
        sys.exit(
            "tests/mutants: write the test that is missing, or, where nobody could notice the "
            f"difference, give the survivor its reason in {listed}"
        )


main()
