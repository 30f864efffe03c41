"""Waking readers: one LISTEN connection per process and bus."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import asyncpg
import structlog

from common.bus.postgres.places import CHANNEL
from common.db.pool import TRANSIENT

log = structlog.get_logger(__name__)
_RETRY_S = 1.0
_CHECK_S = 10.0


class Waker:
    """Sets an event per listener when one of its topics was appended. A lost connection only costs latency."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listeners: dict[asyncio.Event, frozenset[str]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, topics: Iterable[str]) -> asyncio.Event:
        """An event that is set after each append of these topics."""
        event = asyncio.Event()
        self._listeners[event] = frozenset(topics)
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="bus-listen")
        return event

    def remove(self, event: asyncio.Event) -> None:
        """Forget a listener."""
        self._listeners.pop(event, None)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _wake(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        appended = frozenset(str(payload).split())
        for event, topics in self._listeners.items():
            if not appended or appended & topics:
                event.set()

    async def _listen(self) -> None:
        while True:
            connection = None
            try:
                connection = await asyncpg.connect(
                    self._url, timeout=5, server_settings={"application_name": "bus-listen"}
                )
                await connection.add_listener(CHANNEL, self._wake)
                for event in self._listeners:
                    event.set()
                while True:
                    await asyncio.sleep(_CHECK_S)
                    await connection.execute("select 1", timeout=5)
            except TRANSIENT as error:
                log.warning("bus_listen_lost", error=str(error))
                await asyncio.sleep(_RETRY_S)
            finally:
                if connection is not None:
                    connection.terminate()
