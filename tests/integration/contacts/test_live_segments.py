"""Who is in a stored segment follows every change of a contact, and time."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from common.ids import new_id
from common.jobs import run_jobs
from common.testing import outbox_events
from contacts.db import segment_members
from contacts.use_cases import live_segments
from contacts.use_cases import segments as use_cases

from tests.integration.contacts.people import Someone, define, erase, happened, make_list, make_segment, store

VIP = {"field": "tags", "op": "contains", "value": "vip"}


async def create(db, workspace_id, rule, name="s"):
    async with db.transaction(workspace_id) as tx:
        return (await use_cases.create_segment(tx, workspace_id, name, rule, "me"))["id"]


async def build(db):
    await run_until_done(db, live_segments.BUILD_SEGMENT)


async def run_until_done(db, kind):
    """Run the jobs of a kind until there is none."""
    stop = asyncio.Event()

    async def wait():
        while True:
            async with db.connection() as connection:
                sql = "select count(*) from jobs where state <> 'completed' and kind = $1"
                if not await connection.fetchval(sql, kind.name):
                    return stop.set()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(30):
        await asyncio.gather(run_jobs(db, [kind], [], stop, service="contacts"), wait())


async def caught_up(db):
    while await live_segments.catch_up(db):
        pass


async def members(db, segment_id):
    async with db.connection() as connection:
        rows = await connection.fetch("select contact_id from segment_members where segment_id = $1", segment_id)
        size = await connection.fetchval("select size from segment_states where segment_id = $1", segment_id)
    found = {row["contact_id"] for row in rows}
    assert size == len(found)
    return found


async def moves(db):
    entered = [(e.data.contact_id, "entered", e.data.cause, e.data.revision)
               for e in await outbox_events(db, "segment.entered")]  # fmt: skip
    left = [(e.data.contact_id, "left", e.data.cause, e.data.revision)
            for e in await outbox_events(db, "segment.left")]  # fmt: skip
    return [move[:3] for move in sorted(entered + left, key=lambda move: move[3])]


@pytest_asyncio.fixture
async def db(contacts_db):
    return contacts_db.worker


async def execute(db, workspace_id, sql, *args):
    async with db.transaction(workspace_id) as tx:
        await tx.execute(sql, *args)


@pytest.mark.asyncio
async def test_a_new_segment_finds_who_is_inside_and_tells_nobody(db, workspace_id):
    inside, outside = Someone("a@example.com", tags=["vip"]), Someone("b@example.com")
    await store(db, workspace_id, [inside, outside])
    segment_id = await create(db, workspace_id, VIP)
    await build(db)
    await caught_up(db)
    assert await members(db, segment_id) == {inside.id}
    assert await moves(db) == []


CHANGES = [
    (VIP, "update contacts set tags = '{vip}' where id = $1", "update contacts set tags = '{}' where id = $1"),
    (
        {"field": "attributes.city", "op": "eq", "value": "Aleppo"},
        """update contacts set attributes = '{"city": "Aleppo"}' where id = $1""",
        "update contacts set attributes = '{}' where id = $1",
    ),
    (
        {"field": "score", "op": "gte", "value": 10},
        "update contacts set score = 10 where id = $1",
        "update contacts set score = 9 where id = $1",
    ),
    (
        {"field": "stage", "op": "eq", "value": "customer"},
        "update contacts set stage = 'customer' where id = $1",
        "update contacts set stage = 'lead' where id = $1",
    ),
    (
        {"field": "consent", "op": "eq", "value": "unsubscribed"},
        "update consents set status = 'unsubscribed' where contact_id = $1",
        "update consents set status = 'subscribed' where contact_id = $1",
    ),
    (
        {"event": "email.opened", "op": "at_least", "value": 1},
        """insert into activity (workspace_id, event_id, contact_id, type, at)
           select workspace_id, gen_random_uuid(), id, 'email.opened', now() from contacts where id = $1""",
        "update activity set machine = true where contact_id = $1",
    ),
]


@pytest.mark.parametrize(
    ("rule", "into", "out"), CHANGES, ids=["tag", "attribute", "score", "stage", "consent", "open"]
)
@pytest.mark.asyncio
async def test_a_change_moves_the_contact_and_is_told(db, workspace_id, rule, into, out):
    await define(db, workspace_id, "city", "text", indexed=True)
    one, other = Someone("a@example.com"), Someone("b@example.com")
    await store(db, workspace_id, [one, other])
    segment_id = await create(db, workspace_id, rule)
    await build(db)
    await caught_up(db)
    assert await members(db, segment_id) == set()
    await execute(db, workspace_id, into, one.id)
    await caught_up(db)
    assert await members(db, segment_id) == {one.id}
    await execute(db, workspace_id, out, one.id)
    await caught_up(db)
    assert await members(db, segment_id) == set()
    assert await moves(db) == [(one.id, "entered", "changed"), (one.id, "left", "changed")]


@pytest.mark.asyncio
async def test_lists_new_contacts_and_erased_ones_move(db, workspace_id):
    first = Someone("a@example.com")
    await store(db, workspace_id, [first])
    list_id = await make_list(db, workspace_id, [])
    on_list = await create(db, workspace_id, {"list": str(list_id)})
    off_list = await create(db, workspace_id, {"not": {"list": str(list_id)}})
    await build(db)
    second = Someone("b@example.com")
    await store(db, workspace_id, [second])
    await execute(db, workspace_id, "insert into list_members (workspace_id, list_id, contact_id) values ($1, $2, $3)",
                  workspace_id, list_id, first.id)  # fmt: skip
    await caught_up(db)
    assert await members(db, on_list) == {first.id}
    assert await members(db, off_list) == {second.id}
    await erase(db, workspace_id, second.id)
    await execute(db, workspace_id, "delete from list_members where list_id = $1", list_id)
    told = await moves(db)
    await caught_up(db)
    assert await members(db, on_list) == set()
    assert await members(db, off_list) == {first.id}
    assert second.id not in {contact_id for contact_id, _, _ in (await moves(db))[len(told) :]}


@pytest.mark.asyncio
async def test_only_segments_that_mention_what_changed_are_judged(db, workspace_id, monkeypatch):
    someone = Someone("a@example.com")
    await store(db, workspace_id, [someone])
    tagged = await create(db, workspace_id, VIP)
    scored = await create(db, workspace_id, {"field": "score", "op": "gt", "value": 1})
    await build(db)
    await caught_up(db)
    judged = []
    real = segment_members.move

    async def noted(tx, ws, segment_id, rule, now, scope, **rest):
        judged.append((segment_id, set(scope)))
        return await real(tx, ws, segment_id, rule, now, scope, **rest)

    monkeypatch.setattr(segment_members, "move", noted)
    await execute(db, workspace_id, "update contacts set score = 5")
    await caught_up(db)
    assert judged == [(scored, {someone.id})]
    await execute(db, workspace_id, "update contacts set tags = '{vip}'")
    await caught_up(db)
    assert judged[1:] == [(tagged, {someone.id})]
    await execute(db, workspace_id, "update contacts set revision = revision + 1")
    await caught_up(db)
    assert len(judged) == 2


@pytest.mark.asyncio
async def test_people_leave_and_enter_by_time_alone(db, workspace_id, monkeypatch):
    someone = Someone("a@example.com")
    await store(db, workspace_id, [someone])
    await happened(db, workspace_id, someone.id, "email.opened", timedelta(hours=23))
    active = await create(db, workspace_id, {"event": "email.opened", "op": "at_least", "value": 1, "within": "1d"})
    lost = await create(db, workspace_id, {"event": "email.opened", "op": "never", "within": "1d"})
    old = await create(db, workspace_id, {"field": "created_at", "op": "not_within", "value": "1d"})
    await build(db)
    await caught_up(db)
    assert await members(db, active) == {someone.id}
    assert await members(db, lost) == await members(db, old) == set()

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=25)

    monkeypatch.setattr(live_segments, "datetime", Later)
    await live_segments.sweep(db)
    await caught_up(db)
    assert await members(db, active) == set()
    assert await members(db, lost) == await members(db, old) == {someone.id}
    assert sorted(await moves(db)) == sorted(
        [(someone.id, "left", "time"), (someone.id, "entered", "time"), (someone.id, "entered", "time")]
    )


@pytest.mark.asyncio
async def test_a_changed_rule_moves_people_and_a_deleted_segment_leaves_nothing(db, workspace_id):
    one, other = Someone("a@example.com", tags=["vip"]), Someone("b@example.com", tags=["new"])
    await store(db, workspace_id, [one, other])
    segment_id = await create(db, workspace_id, VIP)
    await build(db)
    async with db.transaction(workspace_id) as tx:
        await use_cases.change_segment(tx, workspace_id, segment_id, {"rule": {"field": "tags", "op": "exists"}}, None)
    await build(db)
    assert await members(db, segment_id) == {one.id, other.id}
    async with db.transaction(workspace_id) as tx:
        await use_cases.change_segment(tx, workspace_id, segment_id, {"rule": {"not": VIP}}, None)
    await build(db)
    assert await moves(db) == [(other.id, "entered", "rule"), (one.id, "left", "rule")]
    async with db.transaction(workspace_id) as tx:
        await use_cases.delete_segment(tx, workspace_id, segment_id, None)
    await build(db)
    await caught_up(db)
    async with db.connection() as connection:
        for table in ("segment_members", "segment_states", "segment_sizes", "segment_touched"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0, table


@pytest.mark.asyncio
async def test_a_segment_of_older_code_is_planned_and_one_whose_list_is_gone_says_so(db, workspace_id):
    someone = Someone("a@example.com", tags=["vip"])
    await store(db, workspace_id, [someone])
    segment_id = await make_segment(db, workspace_id, VIP)
    broken = await make_segment(db, workspace_id, {"list": str(new_id())})
    await live_segments.sweep(db)
    await build(db)
    await caught_up(db)
    assert await members(db, segment_id) == {someone.id}
    async with db.connection() as connection:
        error = await connection.fetchval("select error from segment_states where segment_id = $1", broken)
    assert "not in this workspace" in error


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.asyncio
async def test_a_kill_between_any_two_statements_loses_and_doubles_nothing(db, workspace_id, monkeypatch):
    """Ended before each statement in turn, the next process ends in the same members, each move told once."""
    people = [Someone(f"p{n}@example.com") for n in range(6)]
    await store(db, workspace_id, people)
    segment_id = await create(db, workspace_id, VIP)
    await build(db)
    await caught_up(db)
    expected, told = set(), []
    real = segment_members
    for name in ("take", "move", "lock"):
        whole = getattr(real, name)
        for after in (False, True):
            someone = people.pop()
            await execute(db, workspace_id, "update contacts set tags = '{vip}' where id = $1", someone.id)

            async def dies(*args, whole=whole, after=after, **rest):
                if after:
                    await whole(*args, **rest)
                raise Killed

            with monkeypatch.context() as patched:
                patched.setattr(real, name, dies)
                with pytest.raises(Killed):
                    await live_segments.catch_up(db)
            assert await members(db, segment_id) == expected
            await caught_up(db)
            expected.add(someone.id)
            told.append((someone.id, "entered", "changed"))
            assert await members(db, segment_id) == expected
    assert await moves(db) == told


@pytest.mark.asyncio
async def test_changes_at_the_same_time_as_builds_and_several_followers_end_in_the_truth(db, workspace_id):
    people = [Someone(f"p{n}@example.com", tags=["vip"] if n % 3 else []) for n in range(60)]
    await store(db, workspace_id, people)

    async def change(n):
        for turn in range(6):
            one = people[(n * 7 + turn * 11) % 60]
            await execute(db, workspace_id, "update contacts set tags = $2, score = $3 where id = $1",
                          one.id, ["vip"] if (n + turn) % 2 else [], float(turn))  # fmt: skip

    rule = {"all": [VIP, {"field": "score", "op": "lt", "value": 4}]}
    async with asyncio.timeout(60):
        segment_id, *_ = await asyncio.gather(
            create(db, workspace_id, rule),
            *(change(n) for n in range(4)),
            *(live_segments.follow(db, 1.0) for _ in range(3)),
        )
    await build(db)
    await caught_up(db)
    async with db.connection() as connection:
        rows = await connection.fetch("select id from contacts where 'vip' = any(tags) and score < 4")
    assert await members(db, segment_id) == {row["id"] for row in rows}
    inside: dict[UUID, bool] = {}
    for contact_id, move, _ in await moves(db):
        assert inside.get(contact_id) is not (move == "entered")
        inside[contact_id] = move == "entered"


@pytest.mark.asyncio
async def test_single_changes_go_before_those_that_came_by_the_thousand(db, workspace_id):
    people = [Someone(f"p{n}@example.com") for n in range(150)]
    await store(db, workspace_id, people[:1])
    await create(db, workspace_id, VIP)
    await build(db)
    await caught_up(db)
    await store(db, workspace_id, people[1:])
    await caught_up(db)
    await execute(db, workspace_id, "update contacts set tags = '{vip}'")
    await execute(db, workspace_id, "update contacts set tags = '{vip, new}' where id = $1", people[0].id)
    async with db.connection() as connection:
        rows = await connection.fetch("select bulk, cardinality(contact_ids) as n from segment_touched order by id")
    assert [(row["bulk"], row["n"]) for row in rows] == [(True, 150), (False, 1)]
    async with db.transaction(workspace_id) as tx:
        assert (await segment_members.take(tx, workspace_id, 10, bulk=False))[0].what == ["tags"]
    await caught_up(db)


@pytest.mark.asyncio
async def test_a_segment_follows_the_rules_of_those_it_names(db, workspace_id):
    one, other = Someone("a@example.com", tags=["vip"]), Someone("b@example.com", tags=["new"])
    await store(db, workspace_id, [one, other])
    named = await create(db, workspace_id, VIP)
    through = await create(db, workspace_id, {"not": {"segment": str(named)}})
    on_top = await create(db, workspace_id, {"segment": str(through)})
    await build(db)
    await caught_up(db)
    assert await members(db, on_top) == {other.id}
    await execute(db, workspace_id, "update contacts set tags = '{}' where id = $1", one.id)
    await caught_up(db)
    assert await members(db, on_top) == {one.id, other.id}
    async with db.transaction(workspace_id) as tx:
        rule = {"field": "tags", "op": "contains", "value": "new"}
        await use_cases.change_segment(tx, workspace_id, named, {"rule": rule}, None)
    await build(db)
    assert await members(db, on_top) == await members(db, through) == {one.id}


@pytest.mark.asyncio
async def test_money_and_new_fields_move_people(db, workspace_id):
    someone = Someone("a@example.com")
    await store(db, workspace_id, [someone])
    rich = await create(db, workspace_id, {"money": "total", "currency": "EUR", "op": "gte", "value": 100})
    owned = await create(db, workspace_id, {"field": "owner", "op": "eq", "value": "sara"})
    await build(db)
    await caught_up(db)
    await execute(db, workspace_id, "update contacts set owner = 'sara'")
    await execute(
        db,
        workspace_id,
        "insert into contact_money (workspace_id, contact_id, currency, conversions, total, last_at)"
        " values ($1, $2, 'EUR', 1, 100, now())",
        workspace_id,
        someone.id,
    )
    await caught_up(db)
    assert await members(db, rich) == await members(db, owned) == {someone.id}
    await execute(db, workspace_id, "update contact_money set total = 99.99")
    await caught_up(db)
    assert await members(db, rich) == set()
