"""Start, pause, restart and validateCredentials, as the SDK sends them."""

from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.synchronization_job_restart_criteria import (
    SynchronizationJobRestartCriteria,
)
from msgraph.generated.models.synchronization_job_restart_scope import SynchronizationJobRestartScope
from msgraph.generated.models.synchronization_schedule_state import SynchronizationScheduleState
from msgraph.generated.service_principals.item.synchronization.jobs.item.restart.restart_post_request_body import (
    RestartPostRequestBody,
)
from msgraph.generated.service_principals.item.synchronization.jobs.item.validate_credentials.validate_credentials_post_request_body import (
    ValidateCredentialsPostRequestBody,
)

from bench import PAUSED, QUARANTINED, RUNNING, Bench
from checks import check, equal, holds


@check
async def a_job_is_started_paused_and_started_again(bench: Bench) -> None:
    equal(await bench.on(PAUSED).start.post(), None)
    running = await bench.until(PAUSED, "Active")
    equal(running.schedule.state, SynchronizationScheduleState.Active)
    equal(await bench.on(PAUSED).pause.post(), None)
    paused = await bench.until(PAUSED, "Paused")
    equal(paused.schedule.state, SynchronizationScheduleState.Disabled)
    equal(await bench.on(PAUSED).start.post(), None)
    await bench.until(PAUSED, "Active")
    counted = await bench.counted(PAUSED)
    equal((counted["starts"], counted["starts_effective"], counted["pauses"]), (2, 2, 1))
    equal((counted["violations"], counted["starts_without_fresh_read"]), (0, 1))


@check
async def a_start_lifts_a_quarantine(bench: Bench) -> None:
    equal((await bench.on(QUARANTINED).get()).status.code.value, "Quarantine")
    equal(await bench.on(QUARANTINED).start.post(), None)
    job = await bench.until(QUARANTINED, "Active")
    equal((job.status.quarantine, job.status.count_successive_complete_failures), (None, 0))
    equal((await bench.counted(QUARANTINED))["violations"], 0)


@check
async def a_start_of_a_running_job_succeeds_and_is_a_violation(bench: Bench) -> None:
    equal(await bench.on(RUNNING).start.post(), None)
    equal((await bench.emulator.counts())["violations_by_kind"], {"running": 1})


@check
async def a_job_is_restarted_with_criteria(bench: Bench) -> None:
    whole = SynchronizationJobRestartCriteria(reset_scope=SynchronizationJobRestartScope.Full)
    # The model holds one member; a combination goes as Graph writes it.
    some = SynchronizationJobRestartCriteria(additional_data={"resetScope": "QuarantineState, Watermark"})
    for criteria in (whole, some, SynchronizationJobRestartCriteria()):
        equal(await bench.on(QUARANTINED).restart.post(RestartPostRequestBody(criteria=criteria)), None)
    await bench.until(QUARANTINED, "Active")
    counted = await bench.counted(QUARANTINED)
    equal((counted["restarts"], counted["starts"], counted["violations"]), (3, 0, 0))


@check
async def saved_credentials_are_validated(bench: Bench) -> None:
    saved = ValidateCredentialsPostRequestBody(use_saved_credentials=True)
    equal(await bench.on(PAUSED).validate_credentials.post(saved), None)
    await bench.emulator.set_job(*PAUSED, {"code": "Paused", "credentials_valid": False})
    try:
        await bench.on(PAUSED).validate_credentials.post(saved)
    except ODataError as error:
        equal((error.response_status_code, error.error.code), (400, "CredentialValidationUnavailable"))
    else:
        holds(False, "credentials that are not valid were found valid")
    equal((await bench.counted(PAUSED))["validations"], 2)
