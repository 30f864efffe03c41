"""Spans of what is too much to have one each: SMTP dialogues, and what people do with the mails of a campaign."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from uuid import UUID

from common.db.pool import Database
from common.outbox.writer import Outgoing
from common.telemetry import current_traceparent, is_sampled, span
from opentelemetry.trace import SpanKind

from delivery.db import mailings
from delivery.use_cases.window import Item

DIALOGUE_EVERY_S = 1.0
MOST_CAMPAIGNS = 10_000
MOST_QUESTIONS = 16
SERVICE = {"barid.service": "delivery"}

_NONE = nullcontext()


class DialogueSpans:
    """Of one connection: at most one a second, and only of traces that are kept. A campaign may be a million mails."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def of(self, item: Item) -> AbstractContextManager[None]:
        """What surrounds the dialogue of a message; its outcome goes on from there."""
        if not is_sampled(item.traceparent):
            return _NONE
        now = time.monotonic()
        if now - self._last < DIALOGUE_EVERY_S:
            return _NONE
        self._last = now
        return _dialogue(item)


@contextmanager
def _dialogue(item: Item) -> Iterator[None]:
    attributes = {**SERVICE, "barid.provider": item.provider}
    with span("smtp send", parent=item.traceparent, kind=SpanKind.CLIENT, attributes=attributes):
        item.traceparent = current_traceparent()
        yield


class Origins:
    """The traces in which campaigns were started, asked for once each: a link of a mail does not carry it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[UUID, str | None] = {}

    async def of(self, campaigns: Sequence[tuple[UUID, UUID | None]]) -> list[str | None]:
        """The traceparents of these (workspace, campaign), each once. Raises when the database is away."""
        wanted = {campaign: workspace for workspace, campaign in campaigns if campaign is not None}
        unknown = [campaign for campaign in wanted if campaign not in self._known][:MOST_QUESTIONS]
        if len(self._known) + len(unknown) > MOST_CAMPAIGNS:
            self._known.clear()
        for campaign in unknown:
            async with self._db.transaction(wanted[campaign], readonly=True) as tx:
                self._known[campaign] = await mailings.traceparent(tx, wanted[campaign], campaign)
        return [self._known[campaign] for campaign in wanted if campaign in self._known]

    async def of_events(self, events: Sequence[Outgoing]) -> list[str | None]:
        """The traceparents of the campaigns whose mail these events tell of."""
        return await self.of([(event.workspace_id, getattr(event.data, "campaign_id", None)) for event in events])
