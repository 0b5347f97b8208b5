"""`startguard emulator` as a child process, and its control endpoint."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any, Self

import httpx


class Emulator:
    """A running emulator; leaving its context ends it."""

    def __init__(self, program: Path, fleet: dict[str, Any]) -> None:
        self._program = program
        self._fleet = fleet
        self._folder = tempfile.TemporaryDirectory(prefix="startguard-conformance-")
        self._process: asyncio.subprocess.Process | None = None
        self._control: httpx.AsyncClient | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        fleet = Path(self._folder.name) / "fleet.json"
        fleet.write_text(json.dumps(self._fleet))
        self._process = await asyncio.create_subprocess_exec(
            self._program, "emulator", "--fleet", fleet,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self.url = (await self._process.stdout.readline()).decode().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"the emulator said {self.url!r} instead of its URL")
        # What the environment says of proxies is not meant for this machine itself.
        self._control = httpx.AsyncClient(base_url=f"{self.url}/_emulator", trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._control is not None:
            await self._control.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._folder.cleanup()

    async def reset(self) -> None:
        """Goes back to the configuration; counts and faults are gone."""
        await self._ask("POST", "/reset")

    async def counts(self) -> dict[str, Any]:
        """All counts."""
        return await self._ask("GET", "/counts")

    async def job(self, principal: str, job: str) -> dict[str, Any]:
        """The true condition of a job, and its counts."""
        return await self._ask("GET", f"/jobs/{principal}/{job}")

    async def set_job(self, principal: str, job: str, config: dict[str, Any]) -> None:
        """Sets a job up anew."""
        await self._ask("PUT", f"/jobs/{principal}/{job}", config)

    async def requests(self, operation: str) -> list[dict[str, Any]]:
        """The requests for one operation, oldest first."""
        log = await self._ask("GET", "/requests")
        return [request for request in log if request["operation"] == operation]

    async def fault(self, **rule: Any) -> None:
        """Adds a fault rule."""
        await self._ask("POST", "/faults", rule)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        assert self._control is not None
        answer = await self._control.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None
