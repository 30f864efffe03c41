"""The dead letters of the services, from the command line."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import typer
from common.consumer import dead_letters
from common.db.pool import Connection, Database
from common.errors import Misconfigured

from barid.prepare import url_of
from barid.provision import SERVICES
from barid.settings import StackSettings


def show_list(settings: StackSettings, service: str, topic: str | None, *, replayed: bool) -> None:
    """One line per dead letter, the newest first."""
    found = 0
    for name in _chosen(service):
        letters = _in(settings, name, lambda tx: dead_letters.list_dead(tx, topic=topic, replayed=replayed, limit=500))
        found += len(letters)
        for letter in letters:
            state = "handled" if letter.replayed_at else "asked" if letter.requested_at else "dead"
            error = " ".join(letter.error.split())[:160]
            typer.echo(
                f"{name}\t{letter.id}\t{state}\t{letter.dead_at:%FT%TZ}\t{letter.consumer}\t{letter.type}\t{error}"
            )
    if not found:
        typer.echo("no dead letters", err=True)


def show_one(settings: StackSettings, service: str, letter_id: int) -> None:
    """One, whole, as JSON. Raises NotFound."""
    (name,) = _chosen(service)
    letter = _in(settings, name, lambda tx: dead_letters.show(tx, letter_id))
    made = asdict(letter)
    with contextlib.suppress(ValueError):  # a message that is not ours may be anything
        made["payload"] = json.loads(made["payload"])
    typer.echo(json.dumps(made, default=str, ensure_ascii=False, indent=1))


def replay(settings: StackSettings, service: str, ids: list[int] | None, topic: str | None) -> None:
    """Ask the consumers to handle them again."""
    (name,) = _chosen(service)
    count = _in(settings, name, lambda tx: dead_letters.replay(tx, topic=topic, ids=ids))
    typer.echo(f"{count} asked for; their consumer handles them within seconds")


def _chosen(service: str) -> tuple[str, ...]:
    if service and service not in SERVICES:
        raise Misconfigured(f"{service} is no service: {', '.join(SERVICES)}")
    return (service,) if service else SERVICES


def _in(settings: StackSettings, service: str, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        url = url_of(settings, f"{service.upper()}_WORKER_DATABASE_URL")
        db = await Database.open(url, name="barid dlq", max_size=1)
        try:
            async with db.transaction() as tx:
                return await work(tx)
        finally:
            await db.close()

    return asyncio.run(run())
