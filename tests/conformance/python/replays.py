"""Repeats: the SDK's own retry middleware, as it comes, and what the emulator counts of it."""

import asyncio
import json
import os
import tempfile
from typing import Any

from bench import PAUSED, Bench
from checks import check, equal, holds
from errors import refusal


async def guarded_starts(bench: Bench, callers: int = 1) -> list[dict[str, Any]]:
    """The answers of `startguard start`, each from a process of its own, on the same job and the same faults."""
    with tempfile.TemporaryDirectory(prefix="startguard-conformance-") as folder:
        return await asyncio.gather(*(guarded_start(bench, folder) for _ in range(callers)))


async def guarded_start(bench: Bench, folder: str) -> dict[str, Any]:
    """One answer, with the ledger in this folder."""
    clean = {"PATH": os.environ.get("PATH", ""), "HOME": folder, "STARTGUARD_TOKEN": "a-token"}
    process = await asyncio.create_subprocess_exec(
        bench.program, "start", f"{PAUSED.principal}/{PAUSED.id}", "-o", "json", "--auth", "token",
        "--graph-endpoint", bench.emulator.url, "--store", f"sqlite:{folder}/ledger.db",
        env=clean, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    answer, complaint = await process.communicate()
    holds(answer, complaint.decode())
    return json.loads(answer)


def gaps(requests: list[dict[str, Any]]) -> list[int]:
    """Milliseconds between requests."""
    times = [request["at_ms"] for request in requests]
    return [later - earlier for earlier, later in zip(times, times[1:])]


@check
async def the_sdk_waits_as_long_as_retry_after_says(bench: Bench) -> None:
    for retry_after, least in (({"seconds": 2}, 1990), ({"date_in": 3}, 1990)):
        await bench.reset()
        throttled = {"kind": "status", "status": 429, "retry_after": retry_after}
        await bench.emulator.fault(operation="get_job", times=1, effect=throttled)
        job = await bench.on(PAUSED).get()
        equal(job.status.code.value, "Paused")
        requests = await bench.emulator.requests("get_job")
        equal([request["status"] for request in requests], [429, 200])
        # A date has whole seconds: three ahead of now may be two and a bit.
        holds(gaps(requests)[0] >= least, gaps(requests))


@check
async def a_throttled_start_is_sent_four_times_by_the_sdk_and_once_by_startguard(bench: Bench) -> None:
    busy = {"kind": "status", "status": 503, "retry_after": {"seconds": 1}}
    await bench.emulator.fault(operation="start", effect=busy)
    error = await refusal(bench.on(PAUSED).start.post())
    equal((error.response_status_code, error.error.code), (503, "ServiceUnavailable"))
    counted = await bench.counted(PAUSED)
    equal((counted["starts"], counted["starts_effective"], counted["starts_without_fresh_read"]), (4, 0, 4))
    holds(min(gaps(await bench.emulator.requests("start"))) >= 990, counted)

    await bench.reset()
    await bench.emulator.fault(operation="start", effect=busy)
    [answer] = await guarded_starts(bench)
    equal((answer["outcome"], answer["reason"]), ("deferred", "throttled"))
    counted = await bench.counted(PAUSED)
    equal((counted["starts"], counted["starts_without_fresh_read"]), (1, 0))


@check
async def a_start_whose_answer_failed_is_replayed_onto_the_running_job_by_the_sdk_alone(bench: Bench) -> None:
    for status in (503, 504):
        worked = {"kind": "status", "status": status, "retry_after": {"seconds": 1}, "applied": True}
        await bench.reset()
        await bench.emulator.fault(operation="start", effect=worked, times=1)
        equal(await bench.on(PAUSED).start.post(), None)
        counted = await bench.counted(PAUSED)
        equal((counted["starts"], counted["starts_effective"]), (2, 2))
        equal(counted["violations_by_kind"], {"running": 1})

        await bench.reset()
        await bench.emulator.fault(operation="start", effect=worked, times=1)
        [answer] = await guarded_starts(bench)
        counted = await bench.counted(PAUSED)
        equal((counted["starts"], counted["starts_effective"], counted["violations"]), (1, 1, 0))
        # 503 with a time is a no that names when to ask again; after 504 the reads show that it worked.
        wanted = ("deferred", "throttled") if status == 503 else ("started", None)
        equal((answer["outcome"], answer["reason"]), wanted)


@check
async def callers_at_once_break_the_rule_with_the_sdk_and_not_with_startguard(bench: Bench) -> None:
    # Three, since the emulator stops a job at the third start of it while it runs.
    starts = [bench.on(PAUSED).start.post() for _ in range(3)]
    equal(await asyncio.gather(*starts), [None] * 3)
    counted = await bench.counted(PAUSED)
    equal((counted["starts"], counted["violations"]), (3, 2))
    await bench.reset()
    outcomes = [answer["outcome"] for answer in await guarded_starts(bench, callers=4)]
    equal(outcomes.count("started"), 1)
    holds(set(outcomes) <= {"started", "alreadyRunning", "deferred"}, outcomes)
    counted = await bench.counted(PAUSED)
    equal((counted["starts"], counted["violations"]), (1, 0))
