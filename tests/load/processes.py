"""Processes of the services, as production runs them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from common.bus.kafka import KafkaOptions

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def reached(bus: KafkaOptions | str) -> dict[str, str]:
    """The settings that lead to a bus: Kafka's, or the URL of the log in PostgreSQL."""
    if isinstance(bus, str):
        return {"BARID_BUS": "postgres", "BUS_DATABASE_URL": bus}
    return {"BARID_BUS": "kafka", "BARID_KAFKA_BOOTSTRAP": bus.bootstrap, "BARID_KAFKA_PREFIX": bus.prefix}


@asynccontextmanager
async def running(service: str, *command: str, env: Mapping[str, str]) -> AsyncIterator[int]:
    """One process, by its id; ended as production ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        service,
        *command,
        env={**os.environ, "BARID_LOG_LEVEL": "ERROR", **env},
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        died = process.returncode
        if died is None:
            process.terminate()
            await process.wait()
    if died is not None:
        raise AssertionError(f"{service} {command[0]} ended with status {died}")


def cpu_s(pid: int) -> float:
    """What a process has used of the CPU since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """What a process holds of the memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
