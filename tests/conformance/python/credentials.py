"""azure-identity against the emulator's token endpoint.

azure-identity speaks to https authorities alone, so a TLS front with a certificate of its own stands before the emulator.
"""

from contextlib import asynccontextmanager
from collections.abc import AsyncIterator

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential

from bench import PAUSED, Bench, client
from checks import check, equal, holds
from emulator import Emulator
from front import Front

TENANT = "7b1c3d5e-0415-4c3d-8e5f-c2d4e6f80a1b"
CLIENT = "6f5e4d3c-2b07-4392-8170-f9e8d7c6b5a4"
SCOPE = "https://graph.microsoft.com/.default"


@asynccontextmanager
async def authority(bench: Bench) -> AsyncIterator[tuple[Emulator, Front]]:
    """An emulator that accepts only tokens that it issued, behind TLS."""
    async with Front() as front:
        configuration = {
            "public_origin": front.url,
            "auth": {
                "accept": "known",
                "clients": [{"client_id": CLIENT, "client_secret": "the-secret", "tenant": TENANT}],
            },
        }
        async with Emulator(bench.program, configuration) as emulator:
            front.lead_to(emulator.url)
            yield emulator, front


def options(front: Front) -> dict[str, object]:
    """How azure-identity is told of an authority that is none of Microsoft's."""
    return {
        "authority": front.url,
        "disable_instance_discovery": True,
        "connection_verify": str(front.certificate),
        "retry_total": 0,
    }


@check
async def a_client_secret_gets_a_token_that_the_sdk_reads_with(bench: Bench) -> None:
    async with authority(bench) as (emulator, front):
        credential = ClientSecretCredential(TENANT, CLIENT, "the-secret", **options(front))
        # In a thread: the front that it speaks to lives in this one.
        token = await front.beside(credential.get_token, SCOPE)
        holds(token.token.count(".") == 2, "the token is no JWT in form")
        # The credential keeps its token: the SDK asks for the same scope, and makes no second call.
        graph = client(emulator.url, Kept(credential))
        job = graph.service_principals.by_service_principal_id(PAUSED.principal)
        listed = await job.synchronization.jobs.get()
        equal([one.id for one in listed.value], [PAUSED.id])
        counts = await emulator.counts()
        equal((counts["operations"]["token"], counts["unauthorized"]), (1, 0))


@check
async def a_certificate_gets_a_token(bench: Bench) -> None:
    async with authority(bench) as (emulator, front):
        credential = CertificateCredential(TENANT, CLIENT, certificate_path=str(front.key_and_certificate), **options(front))
        token = await front.beside(credential.get_token, SCOPE)
        holds(token.token, token)
        equal((await emulator.counts())["operations"]["token"], 1)


@check
async def a_wrong_secret_is_refused_with_its_code(bench: Bench) -> None:
    async with authority(bench) as (emulator, front):
        credential = ClientSecretCredential(TENANT, CLIENT, "another", **options(front))
        try:
            await front.beside(credential.get_token, SCOPE)
        except ClientAuthenticationError as error:
            holds("AADSTS7000215" in error.message, error.message)
        else:
            holds(False, "a wrong secret got a token")
        equal((await emulator.counts())["operations"]["token"], 1)


class Kept:
    """A credential asked for one scope, whatever the SDK makes of a loopback host."""

    def __init__(self, credential: ClientSecretCredential) -> None:
        self._credential = credential

    def get_token(self, *_scopes: str, **_options: object) -> object:
        return self._credential.get_token(SCOPE)
