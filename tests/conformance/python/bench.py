"""What a check works with: an emulator, the official SDK that speaks to it, and the jobs of the default fleet."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from azure.core.credentials import AccessToken
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient

from emulator import Emulator


class Job(NamedTuple):
    """A job of the emulator's default fleet."""

    principal: str
    id: str


PAUSED = Job("60443998-8cf7-4e61-b05c-a53b658cb5e1", "BoxOutDelta.e4bbf44533ea4eabb17027f3a92e92aa")
QUARANTINED = Job(
    "3ff4e31f-c1b1-4a94-9a53-2a1b3f5f0b02",
    "dataBricks.f5532fc709734b1a90e8a1fa9fd03a82.8442fd39-2183-419c-8732-74b6ce866bd5",
)
RUNNING = Job("c2d4e6f8-0a1b-4c3d-8e5f-7a9b1c3d5e04", "ServiceNowOutDelta.9cf1c3f4a2a04a5a8b0d6e7f81920a4b")
NEVER_RUN = Job("d1e2f3a4-b5c6-47d8-89ea-fb0c1d2e3f05", "slackOutDelta.0a6f3b9d2f5c4e1e8a7b6c5d4e3f2a1b")


class StaticCredential:
    """A token that never changes, in the form that azure-identity's credentials have."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


def client(url: str, credential: Any) -> GraphServiceClient:
    """The SDK as its documentation sets it up for another endpoint: its own middleware, untouched.

    The SDK sends tokens to the hosts that it is told of, and over plain http to this machine only.
    """
    provider = AzureIdentityAuthenticationProvider(credential, allowed_hosts=["127.0.0.1", "localhost"])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{url}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


class Bench:
    """An emulator that accepts any token, and the SDK."""

    def __init__(self, program: Path, emulator: Emulator) -> None:
        self.program = program
        self.emulator = emulator
        self.graph = client(emulator.url, StaticCredential("a-token"))

    async def reset(self) -> None:
        """Begins anew."""
        await self.emulator.reset()

    def on(self, job: Job) -> Any:
        """The SDK's request builder of a job."""
        principal = self.graph.service_principals.by_service_principal_id(job.principal)
        return principal.synchronization.jobs.by_synchronization_job_id(job.id)

    async def until(self, job: Job, code: str) -> Any:
        """Reads the job with the SDK until it has this code; the limit on a check ends it otherwise."""
        while True:
            read = await self.on(job).get()
            if read.status.code.value == code:
                return read

    async def counted(self, job: Job) -> dict[str, Any]:
        """What the emulator counted of the job."""
        return (await self.emulator.job(job.principal, job.id))["counts"]
