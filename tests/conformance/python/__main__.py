"""`python tests/conformance/python PROGRAM [WORD...]`, run by tests/conformance/sdk."""

import asyncio
import logging
import sys
from pathlib import Path

import checks
from bench import Bench
from emulator import Emulator

# Each adds its checks.
import actions  # noqa: F401
import batches  # noqa: F401
import credentials  # noqa: F401
import errors  # noqa: F401
import reads  # noqa: F401
import replays  # noqa: F401


# azure-identity logs every refusal, and a check wants one.
logging.getLogger("azure").setLevel(logging.CRITICAL)


async def main(program: Path, words: list[str]) -> bool:
    async with Emulator(program, {}) as emulator:
        return await checks.run(Bench(program, emulator), words)


sys.exit(0 if asyncio.run(main(Path(sys.argv[1]), sys.argv[2:])) else 1)
