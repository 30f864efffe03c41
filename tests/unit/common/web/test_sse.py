import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from common.errors import Unauthorized
from common.web.sse import ServerEvent, issue_ticket, open_ticket, stream
from common.web.tokens import Principal

KEYS = {"new": b"n" * 32, "old": b"o" * 32}
PATH = "/v1/imports/1/events"
CALLER = Principal(uuid4(), uuid4(), uuid4(), "member", "viewer", frozenset({"imports:read"}), 1.0, 2.0)


def test_a_ticket_speaks_for_its_caller_for_a_minute() -> None:
    now = time.time()
    ticket = issue_ticket(KEYS, CALLER, PATH, now)

    opened = open_ticket(KEYS, ticket, PATH, now + 59)

    assert (opened.workspace_id, opened.subject_id, opened.token_id) == (
        CALLER.workspace_id,
        CALLER.subject_id,
        CALLER.token_id,
    )
    assert opened.scopes == CALLER.scopes
    with pytest.raises(Unauthorized, match="expired"):
        open_ticket(KEYS, ticket, PATH, now + 61)


def test_a_ticket_is_good_for_its_path_only() -> None:
    with pytest.raises(Unauthorized):
        open_ticket(KEYS, issue_ticket(KEYS, CALLER, PATH), "/v1/imports/2/events")


def test_a_ticket_of_the_older_key_still_opens() -> None:
    ticket = issue_ticket({"old": KEYS["old"]}, CALLER, PATH)
    assert open_ticket(KEYS, ticket, PATH).workspace_id == CALLER.workspace_id


@pytest.mark.parametrize("position", range(0, 200, 7))
def test_a_changed_ticket_does_not_open(position: int) -> None:
    ticket = issue_ticket(KEYS, CALLER, PATH)
    changed = ticket[:position] + ("A" if ticket[position] != "A" else "B") + ticket[position + 1 :]
    with pytest.raises(Unauthorized):
        open_ticket(KEYS, changed, PATH)


@pytest.mark.parametrize("ticket", ["", "new", "new.", "new..", "new.e30.AA", "x.e30.AA", "new.é.é"])
def test_rubbish_does_not_open(ticket: str) -> None:
    with pytest.raises(Unauthorized):
        open_ticket(KEYS, ticket, PATH)


async def collect(events: AsyncIterator[ServerEvent], heartbeat_s: float) -> bytes:
    response = stream(events, heartbeat_s=heartbeat_s)
    return b"".join([part async for part in response.body_iterator])  # type: ignore[misc]


async def test_a_stream_carries_ids_and_beats_while_nothing_comes() -> None:
    async def slow() -> AsyncIterator[ServerEvent]:
        yield ServerEvent({"rows": 1, "city": "تهران\n"}, id="1")
        await asyncio.sleep(0.2)
        yield ServerEvent({"rows": 2}, event="done", id="2")

    text = (await collect(slow(), 0.05)).decode()

    assert 'event: progress\nid: 1\ndata: {"rows":1,"city":"تهران\\n"}\n\n' in text
    assert text.count(": still here") >= 2
    assert text.endswith('event: done\nid: 2\ndata: {"rows":2}\n\n')


async def test_a_stream_that_is_left_closes_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[ServerEvent]:
        try:
            while True:
                yield ServerEvent({}, id="1")
                await asyncio.sleep(60)
        finally:
            closed.set()

    body = stream(endless(), heartbeat_s=0.01).body_iterator
    assert await anext(aiter(body)) == b": open\n\n"
    await anext(aiter(body))
    await body.aclose()  # type: ignore[attr-defined]

    await asyncio.wait_for(closed.wait(), 1)
