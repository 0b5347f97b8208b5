"""`$batch`, as msgraph-core builds it."""

from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

from bench import PAUSED, QUARANTINED, Bench, Job
from checks import check, equal, holds


@check
async def a_batch_is_answered_item_by_item(bench: Bench) -> None:
    missing = Job(PAUSED.principal, "none")
    content = BatchRequestContent()
    for name, request in {
        "paused": bench.on(PAUSED).to_get_request_information(),
        "quarantined": bench.on(QUARANTINED).to_get_request_information(),
        "missing": bench.on(missing).to_get_request_information(),
        "start": bench.on(PAUSED).start.to_post_request_information(),
    }.items():
        content.add_request(name, BatchRequestItem(request, name))
    answers = await bench.graph.batch.post(content)
    equal(answers.get_response_status_codes(), {"paused": 200, "quarantined": 200, "missing": 404, "start": 204})
    equal(answers.get_response_by_id("paused").content_type, "application/json")
    await bench.until(PAUSED, "Active")
    counts = await bench.emulator.counts()
    equal((counts["operations"]["batch"], counts["batched_requests"], counts["starts"]), (1, 4, 1))


@check
async def a_batch_of_absolute_urls_is_refused_item_by_item(bench: Bench) -> None:
    # A request builder that has sent a request gives absolute URLs from then on, and msgraph-core puts them into the
    # batch as they are. Graph knows no segment `https:` and answers 400; so does the emulator.
    job = bench.on(PAUSED)
    await job.get()
    content = BatchRequestContent()
    content.add_request("read", BatchRequestItem(job.to_get_request_information(), "read"))
    holds(content.requests["read"].url.startswith("http://"), content.requests["read"].url)
    content.add_request("start", BatchRequestItem(job.start.to_post_request_information(), "start"))
    answers = await bench.graph.batch.post(content)
    equal(answers.get_response_status_codes(), {"read": 400, "start": 400})
    equal((await bench.emulator.counts())["starts"], 0)
