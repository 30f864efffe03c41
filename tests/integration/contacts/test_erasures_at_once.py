"""Erasures beside each other, and beside whoever keeps the members of segments."""

import asyncio
from uuid import UUID

from common.testing.deliver import outbox_events
from contacts.db import segment_members
from contacts.use_cases import live_segments

from tests.integration.contacts.people import Someone, store
from tests.integration.contacts.test_live_segments import VIP, build, caught_up, create, members


async def erase(client, contact_id: UUID) -> int:
    asked = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(contact_id)})
    return asked.status_code


async def waits_for_a_lock(db) -> None:
    waiting = (
        "select exists (select from pg_locks l join pg_stat_activity a using (pid)"
        " where not l.granted and a.datname = current_database())"
    )
    async with asyncio.timeout(20), db.connection() as connection:
        while True:
            if await connection.fetchval(waiting):
                return
            await asyncio.sleep(0.01)


async def test_an_erasure_and_the_keeper_of_members_do_not_wait_for_each_other(
    client, contacts_db, workspace_id, monkeypatch
):
    db, someone = contacts_db.worker, Someone("a@x.example", tags=["vip"])
    await store(db, workspace_id, [someone])
    segments = sorted([await create(db, workspace_id, VIP, name) for name in ("one", "two")])
    async with db.transaction(workspace_id) as tx:  # the later one first: so an erasure finds them
        for segment_id in reversed(segments):
            await tx.execute("insert into segment_members values ($1, $2, $3)", workspace_id, segment_id, someone.id)
        await tx.execute("update segment_states set size = 1, built = 1")
        await tx.execute("update contacts set tags = '{}'")

    move, first_moved, go_on = segment_members.move, asyncio.Event(), asyncio.Event()

    async def move_and_wait(*args, **options):
        moved = await move(*args, **options)
        first_moved.set()
        await go_on.wait()
        return moved

    monkeypatch.setattr(segment_members, "move", move_and_wait)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(live_segments.step(db, workspace_id))
        await first_moved.wait()
        erasing = group.create_task(erase(client, someone.id))
        await waits_for_a_lock(db)
        go_on.set()
    assert (erasing.result(), keeping.exception()) == (202, None)
    for segment_id in segments:
        assert await members(db, segment_id) == set()


async def test_a_hundred_erasures_at_once_all_happen_and_sizes_stay_right(client, contacts_db, workspace_id):
    db = contacts_db.worker
    people = [Someone(f"p{n}@x.example", tags=["vip"]) for n in range(101)]
    await store(db, workspace_id, people)
    segments = [await create(db, workspace_id, VIP, name) for name in ("one", "two")]
    await build(db)
    await caught_up(db)
    *going, stays = people
    erasing = asyncio.gather(*(erase(client, one.id) for one in going))
    while not erasing.done():
        await live_segments.catch_up(db)
        await asyncio.sleep(0)
    assert set(erasing.result()) == {202}
    await caught_up(db)
    for segment_id in segments:
        assert await members(db, segment_id) == {stays.id}
    told = [event.data.contact_id for event in await outbox_events(db, "lead.erased")]
    assert sorted(told) == sorted(one.id for one in going)
    assert [one["email"] for one in (await client.get("/v1/contacts")).json()["items"]] == [stays.email]
