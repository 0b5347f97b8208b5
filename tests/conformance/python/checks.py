"""Checks: coroutines with the name of a fact, run one after the other on an emulator that begins anew."""

import asyncio
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable

from bench import Bench

Check = Callable[[Bench], Awaitable[None]]

# Far beyond what any check takes on a busy machine; one that hangs must still end the run.
LONGEST = 120.0

_checks: list[Check] = []


def check(fact: Check) -> Check:
    """Adds a check."""
    _checks.append(fact)
    return fact


def equal(got: object, wanted: object) -> None:
    """Fails unless both are equal, and shows both."""
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def holds(condition: object, otherwise: object) -> None:
    """Fails unless the condition holds, and shows what was found."""
    if not condition:
        raise AssertionError(otherwise)


async def run(bench: Bench, words: list[str]) -> bool:
    """Runs the checks whose names contain one of the words, or all; prints the count last."""
    passed = failed = 0
    for fact in _checks:
        name = fact.__name__.replace("_", " ")
        if words and not any(word in fact.__name__ or word in name for word in words):
            continue
        await bench.reset()
        began = time.monotonic()
        try:
            await asyncio.wait_for(fact(bench), LONGEST)
        except Exception as error:  # A check may fail in any way, and the next one still runs.
            failed += 1
            where = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in where if frame.filename == inspect.getfile(fact)]
            line = f" (line {own[-1].lineno})" if own else ""
            print(f"FAILED  {name}{line}: {type(error).__name__}: {error}", flush=True)
        else:
            passed += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed == 0 and passed > 0
