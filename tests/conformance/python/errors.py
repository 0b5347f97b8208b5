"""Refusals: what the SDK's typed error makes of them."""

import datetime
from collections.abc import Awaitable
from typing import Any

from msgraph.generated.models.o_data_errors.o_data_error import ODataError

from bench import PAUSED, Bench, Job, StaticCredential, client
from checks import check, equal, holds
from emulator import Emulator
from reads import principals


async def refusal(request: Awaitable[Any]) -> ODataError:
    """The error that a request ends with."""
    try:
        answer = await request
    except ODataError as error:
        return error
    raise AssertionError(f"it was answered: {answer!r}")


@check
async def a_job_that_is_not_there_is_a_typed_error(bench: Bench) -> None:
    for job in (Job(PAUSED.principal, "BoxOutDelta.none"), Job("00000000-0000-4000-8000-000000000000", "x")):
        await bench.reset()
        error = await refusal(bench.on(job).get())
        equal(error.response_status_code, 404)
        holds(error.error.code in ("ResourceNotFound", "Request_ResourceNotFound"), error.error.code)
        holds(job.id in error.error.message or job.principal in error.error.message, error.error.message)
        inner = error.error.inner_error
        holds(isinstance(inner.date, datetime.datetime), inner)
        logged = await bench.emulator.requests("get_job")
        equal([inner.request_id], [one["request_id"] for one in logged])
        equal(error.response_headers["request-id"], inner.request_id)
        equal((error.additional_data, error.error.additional_data, inner.additional_data), ({}, {}, {}))


@check
async def a_missing_permission_is_a_typed_error(bench: Bench) -> None:
    await bench.emulator.fault(operation="start", effect={"kind": "status", "status": 403})
    error = await refusal(bench.on(PAUSED).start.post())
    equal((error.response_status_code, error.error.code), (403, "Authorization_RequestDenied"))
    # What missing permissions often look like in practice.
    unknown = {"kind": "status", "status": 401, "code": "UnknownError", "message": ""}
    await bench.emulator.fault(operation="get_job", effect=unknown)
    error = await refusal(bench.on(PAUSED).get())
    equal((error.response_status_code, error.error.code, error.error.message), (401, "UnknownError", ""))


@check
async def a_token_that_is_not_known_is_refused_once(bench: Bench) -> None:
    known = {"auth": {"accept": "known", "tokens": ["the-token"]}}
    async with Emulator(bench.program, known) as emulator:
        stranger = client(emulator.url, StaticCredential("another"))
        error = await refusal(stranger.service_principals.get())
        equal((error.response_status_code, error.error.code), (401, "InvalidAuthenticationToken"))
        equal((await emulator.counts())["unauthorized"], 1)
        found = await client(emulator.url, StaticCredential("the-token")).service_principals.get()
        equal(len(found.value), 8)


@check
async def a_query_that_cannot_be_read_is_a_typed_error(bench: Bench) -> None:
    error = await refusal(bench.graph.service_principals.get(principals(filter="displayName eq")))
    equal((error.response_status_code, error.error.code), (400, "Request_BadRequest"))
    error = await refusal(bench.graph.service_principals.get(principals(top=0)))
    equal((error.response_status_code, error.error.code), (400, "Request_BadRequest"))
