"""Reads: what the SDK's typed models make of the emulator's answers."""

import datetime
from collections.abc import Iterator
from typing import Any

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.serialization import Parsable
from msgraph.generated.models.quarantine_reason import QuarantineReason
from msgraph.generated.models.synchronization_schedule_state import SynchronizationScheduleState
from msgraph.generated.models.synchronization_status_code import SynchronizationStatusCode
from msgraph.generated.models.synchronization_task_execution_result import (
    SynchronizationTaskExecutionResult,
)
from msgraph.generated.service_principals.item.synchronization.jobs.item.synchronization_job_item_request_builder import (
    SynchronizationJobItemRequestBuilder,
)
from msgraph.generated.service_principals.item.synchronization.jobs.jobs_request_builder import (
    JobsRequestBuilder,
)
from msgraph.generated.service_principals.service_principals_request_builder import (
    ServicePrincipalsRequestBuilder,
)
from msgraph_core.tasks.page_iterator import PageIterator

from bench import NEVER_RUN, PAUSED, QUARANTINED, Bench
from checks import check, equal, holds

NO_DATE = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)
WORKDAY = "f9e8d7c6-b5a4-4392-8170-6f5e4d3c2b07"


def principals(**query: Any) -> Any:
    """Query options of `GET /servicePrincipals`."""
    options = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(**query)
    return RequestConfiguration(query_parameters=options)


def models(value: Any) -> Iterator[Parsable]:
    """A model and every model inside it."""
    if isinstance(value, list):
        for item in value:
            yield from models(item)
    elif isinstance(value, Parsable):
        yield value
        for name in vars(value):
            if name not in ("backing_store", "additional_data"):
                yield from models(getattr(value, name))


@check
async def service_principals_are_found_by_display_name(bench: Bench) -> None:
    found = await bench.graph.service_principals.get(
        principals(filter="displayName eq 'Box'", select=["id", "appId", "displayName"])
    )
    equal([(one.id, one.app_id, one.display_name) for one in found.value],
          [(PAUSED.principal, "6b7d2a04-0f2a-4c80-9d0e-3a5b9a1c2d01", "Box")])
    # What was not selected is not there.
    equal(found.value[0].service_principal_type, None)
    name = "Workday to Active Directory User Provisioning"
    found = await bench.graph.service_principals.get(principals(filter=f"displayName eq '{name}'"))
    equal([one.display_name for one in found.value], [name, name])
    found = await bench.graph.service_principals.get(principals(filter="displayName eq 'It''s nobody'"))
    equal(found.value, [])
    found = await bench.graph.service_principals.get(
        principals(filter="startswith(displayName,'Work')", count=True, top=1)
    )
    equal((len(found.value), found.odata_count), (1, 2))


@check
async def a_service_principal_is_read_by_either_id(bench: Bench) -> None:
    by_id = await bench.graph.service_principals.by_service_principal_id(PAUSED.principal).get()
    by_app = await bench.graph.service_principals_with_app_id(by_id.app_id).get()
    equal((by_app.id, by_app.display_name), (PAUSED.principal, "Box"))
    holds(by_id.account_enabled is True and by_id.service_principal_type == "Application", by_id)
    equal(by_id.tags, ["WindowsAzureActiveDirectoryIntegratedApp"])


@check
async def the_sdks_pager_walks_every_page(bench: Bench) -> None:
    first = await bench.graph.service_principals.get(principals(top=3, select=["id"]))
    seen: list[str] = []
    await PageIterator(first, bench.graph.request_adapter).iterate(lambda one: bool(seen.append(one.id)) or True)
    equal((len(seen), len(set(seen))), (8, 8))
    equal(len(await bench.emulator.requests("list_service_principals")), 3)


@check
async def jobs_of_a_service_principal_are_listed(bench: Bench) -> None:
    jobs = bench.graph.service_principals.by_service_principal_id(WORKDAY).synchronization.jobs
    listed = await jobs.get()
    equal([(job.template_id, job.status.code) for job in listed.value],
          [("Workday2AD", SynchronizationStatusCode.NotRun), ("WorkdayOutbound", SynchronizationStatusCode.Paused)])
    equal([job.status.escrows_pruned for job in listed.value], [False, True])
    options = JobsRequestBuilder.JobsRequestBuilderGetQueryParameters(select=["id"])
    listed = await jobs.get(RequestConfiguration(query_parameters=options))
    equal([(job.id is not None, job.status) for job in listed.value], [(True, None), (True, None)])


@check
async def every_member_of_every_job_is_one_that_the_model_knows(bench: Bench) -> None:
    jobs = 0
    for principal in (await bench.graph.service_principals.get()).value:
        builder = bench.graph.service_principals.by_service_principal_id(principal.id).synchronization.jobs
        for listed in (await builder.get()).value:
            jobs += 1
            read = await builder.by_synchronization_job_id(listed.id).get()
            # The annotation of the answer itself has no place in the model.
            context = read.additional_data.pop("@odata.context")
            holds(context.endswith("/synchronization/jobs/$entity"), context)
            for model in (*models(listed), *models(read)):
                equal((type(model).__name__, model.additional_data), (type(model).__name__, {}))
            truth = (await bench.emulator.job(principal.id, listed.id))["condition"]
            for job in (listed, read):
                equal((job.status.code.value, job.schedule.state.value), (truth["code"], truth["schedule"]))
                equal(job.id, listed.id)
                holds(job.template_id, job)
                holds(isinstance(job.status.count_successive_complete_failures, int), job.status)
                holds(isinstance(job.status.steady_state_last_achieved_time, datetime.datetime), job.status)
                holds(all(entry.name and isinstance(entry.value, str)
                          for entry in job.synchronization_job_settings), job.synchronization_job_settings)
    equal(jobs, 8)


@check
async def a_quarantine_is_typed(bench: Bench) -> None:
    job = await bench.on(QUARANTINED).get()
    quarantine = job.status.quarantine
    equal((job.status.code, job.schedule.state),
          (SynchronizationStatusCode.Quarantine, SynchronizationScheduleState.Active))
    equal(quarantine.reason, QuarantineReason.EncounteredQuarantineException)
    equal(quarantine.series_count, 3)
    dates = [quarantine.series_began, quarantine.current_began, quarantine.next_attempt]
    holds(all(date.utcoffset() == datetime.timedelta() for date in dates), dates)
    equal(dates, sorted(dates))
    equal((quarantine.error.code, quarantine.error.tenant_actionable), ("InvalidCredentials", True))
    equal(job.status.last_execution.state, SynchronizationTaskExecutionResult.Failed)
    equal(job.schedule.interval, datetime.timedelta(minutes=40))


@check
async def a_job_that_never_ran_has_the_first_date_and_the_longest_interval(bench: Bench) -> None:
    job = await bench.on(NEVER_RUN).get()
    equal((job.status.code, job.status.quarantine, job.status.last_execution),
          (SynchronizationStatusCode.NotRun, None, None))
    equal(job.status.steady_state_first_achieved_time, NO_DATE)
    equal(job.schedule.interval.days, 10675199)


@check
async def progress_and_counts_are_typed(bench: Bench) -> None:
    step = {"completedUnits": 3, "totalUnits": 12, "units": "Users",
            "progressObservationDateTime": "2026-11-23T09:00:00.1234567Z"}
    await bench.emulator.set_job(*PAUSED, {"code": "Active", "overlay": {"status": {
        "progress": [step], "synchronizedEntryCountByType": [{"key": "User to User", "value": 114}]}}})
    status = (await bench.on(PAUSED).get()).status
    equal([(one.completed_units, one.total_units, one.units) for one in status.progress], [(3, 12, "Users")])
    holds(status.progress[0].progress_observation_date_time.year == 2026, status.progress)
    equal([(one.key, one.value) for one in status.synchronized_entry_count_by_type], [("User to User", 114)])


@check
async def a_code_that_the_sdk_does_not_know_is_none(bench: Bench) -> None:
    await bench.emulator.set_job(*PAUSED, {"code": "Suspended"})
    status = (await bench.on(PAUSED).get()).status
    equal(status.code, None)


@check
async def a_job_is_read_with_a_selection(bench: Bench) -> None:
    options = SynchronizationJobItemRequestBuilder.SynchronizationJobItemRequestBuilderGetQueryParameters(
        select=["id", "status"]
    )
    job = await bench.on(PAUSED).get(RequestConfiguration(query_parameters=options))
    equal((job.id, job.status.code, job.schedule), (PAUSED.id, SynchronizationStatusCode.Paused, None))
