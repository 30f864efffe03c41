"""The compiled SQL answers what the rule means: compared with the plain evaluator on generated rules and people."""

import asyncio
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import pytest_asyncio
import sqlalchemy as sa
from common.ids import new_id, purpose_id
from contacts.db import event_definitions, segment_audiences, segment_people, segment_snapshots, segment_sql, segments
from contacts.domain.phones import normalise
from contacts.domain.segment_evaluation import Activity, Person, holds
from contacts.domain.segment_explanation import explain
from contacts.use_cases.segment_rules import usable
from contacts.use_cases.segment_snapshots import create_snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import service_database
from tests.fixtures.properties import times
from tests.integration.contacts.people import Someone, define, make_list, make_segment, store

WORKSPACE = UUID(int=0xA0D1)
FOREIGN = UUID(int=0xF0E1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TEXTS = ["تهران", "طهران", "يزد", "یزد", "کرج", "كرج", "Berlin", "BERLIN", "a%b", "a_b", "x'y", "۱۲", "12", "ـ", "é"]
KINDS = {"city": "text", "note": "text", "age": "number", "rank": "number", "vip": "boolean", "gold": "boolean",
         "born": "date", "seen": "date"}  # fmt: skip
INDEXED = {"city", "age", "vip", "born"}
NUMBERS = [-3, 0, 1, 2.5, 10, 1000000]
DATE_OPS = [
    "eq", "neq", "gt", "gte", "lt", "lte", "within", "not_within", "within_next", "not_within_next", "anniversary",
    "not_anniversary",
]  # fmt: skip
DATES = ["2026-05-30", "2026-05-31", "2026-06-01", "2020-02-29", "1999-12-31"]
TAGS = ["vip", "VIP", "خاص", "new"]
MOMENTS = [NOW - timedelta(days=d) for d in (0, 1, 29, 30, 31, 400)]
EVENTS = ["email.sent", "email.opened", "email.clicked"]
OUTSIDE = "webinar.attended"
PROPERTIES = {"minutes": "number", "room": "text", "paid": "boolean", "on": "date"}
# The last ones were told while it was defined otherwise.
TOLD = [
    {"minutes": 40, "room": "تهران", "paid": True, "on": "2026-05-31"}, {"minutes": 0, "on": "2020-02-29"},
    {"room": ""}, {}, {"minutes": "40", "room": 12, "paid": "true", "on": 3},
    {"minutes": True, "paid": 1, "room": None},
]  # fmt: skip
PURPOSES = ["newsletter", "offers"]
CAMPAIGNS = [UUID(int=1), UUID(int=2)]
STAGES = ["subscriber", "lead", "marketing_qualified", "customer"]
PHONES = ["+98 21 1234 5678", "+4930123456", "021 1234 5678"]
CURRENCIES = ["EUR", "IRR"]
# Segments that rules name by number; the second one stands on the first.
SEGMENTS = [
    {
        "any": [
            {"field": "score", "op": "gte", "value": 1},
            {"event": "email.opened", "op": "last_within", "within": "30d"},
        ]
    },
    {"not": {"all": [{"segment": 0}, {"field": "tags", "op": "contains", "value": "vip"}]}},
]  # fmt: skip

values_of = {
    "text": st.sampled_from(TEXTS), "number": st.sampled_from(NUMBERS), "boolean": st.booleans(),
    "date": st.sampled_from(DATES), "time": st.sampled_from([m.isoformat() for m in MOMENTS]),
}  # fmt: skip
spans = st.sampled_from(["1h", "24h", "1d", "29d", "30d", "31d"])


@st.composite
def comparisons(draw):
    kind = draw(st.sampled_from(sorted(values_of)))
    if kind == "time":
        name = "created_at"
    elif kind == "number" and draw(st.booleans()):
        name = "score"
    elif kind == "text" and draw(st.booleans()):
        name = draw(st.sampled_from([
            "first_name", "last_name", "language", "country", "timezone", "stage", "email", "phone", "company", "city",
            "owner",
        ]))  # fmt: skip
    else:
        name = "attributes." + draw(st.sampled_from([n for n, k in KINDS.items() if k == kind]))
    ops = {
        "text": ["eq", "neq", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with"],
        "number": ["eq", "neq", "in", "not_in", "gt", "gte", "lt", "lte"],
        "boolean": ["eq", "neq"],
        "date": DATE_OPS,
        "time": ["gt", "gte", "lt", "lte", "within", "not_within"],
    }
    op = draw(st.sampled_from([*ops[kind], "exists", "not_exists"]))
    rule = {"field": name, "op": op}
    values = (
        st.sampled_from(PHONES) if name == "phone" else st.sampled_from(STAGES) if name == "stage" else values_of[kind]
    )
    if op in ("in", "not_in"):
        rule["value"] = draw(st.lists(values, min_size=1, max_size=3))
    elif op in ("anniversary", "not_anniversary"):
        rule["value"] = draw(spans | st.sampled_from(["today", "365d", "400d"]))
    elif "within" in op:
        rule["value"] = draw(spans)
    elif op not in ("exists", "not_exists"):
        rule["value"] = draw(values)
    return rule


tag_rules = st.one_of(
    st.builds(lambda op, v: {"field": "tags", "op": op, "value": v},
              st.sampled_from(["contains", "not_contains"]), st.sampled_from(TAGS)),
    st.builds(lambda op, v: {"field": "tags", "op": op, "value": v},
              st.sampled_from(["contains_any", "contains_all"]),
              st.lists(st.sampled_from(TAGS), min_size=1, max_size=3)),
    st.builds(lambda op: {"field": "tags", "op": op}, st.sampled_from(["exists", "not_exists"])),
)  # fmt: skip
statuses = st.sampled_from(["subscribed", "unsubscribed", "pending", "none"])
consent_rules = st.one_of(
    st.builds(lambda op, v, p: {"field": "consent", "op": op, "value": v, "purpose": p},
              st.sampled_from(["eq", "neq"]), statuses, st.sampled_from(PURPOSES)),
    st.builds(lambda op, v, p: {"field": "consent", "op": op, "value": v, "purpose": p},
              st.sampled_from(["in", "not_in"]), st.lists(statuses, min_size=1, max_size=4), st.sampled_from(PURPOSES)),
)  # fmt: skip
event_rules = st.builds(
    lambda event, op, n, within, campaign, machine: {
        "event": event, "op": op, "machine": machine,
        **({} if op == "never" else {"value": n}),
        **({} if within is None else {"within": within}),
        **({} if campaign is None else {"campaign_id": str(campaign)}),
    },
    st.sampled_from(EVENTS), st.sampled_from(["at_least", "at_most", "exactly", "never"]), st.integers(0, 3),
    st.none() | spans, st.none() | st.sampled_from(CAMPAIGNS), st.booleans(),
)  # fmt: skip
last_rules = st.builds(
    lambda event, op, within, campaign: {
        "event": event, "op": op, "within": within, **({} if campaign is None else {"campaign_id": str(campaign)}),
    },
    st.sampled_from(EVENTS), st.sampled_from(["last_within", "last_not_within"]), spans,
    st.none() | st.sampled_from(CAMPAIGNS),
)  # fmt: skip
property_tests = st.one_of(
    st.builds(lambda op, v: {"property": "minutes", "op": op, "value": v},
              st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), st.sampled_from([0, 1, 40])),
    st.builds(lambda op, v: {"property": "room", "op": op, "value": v},
              st.sampled_from(["eq", "neq", "contains", "not_contains", "starts_with"]), st.sampled_from(TEXTS)),
    st.builds(lambda op, v: {"property": "paid", "op": op, "value": v}, st.sampled_from(["eq", "neq"]), st.booleans()),
    st.builds(lambda op, v: {"property": "on", "op": op, "value": v}, st.sampled_from(["within", "not_within"]), spans),
    st.builds(lambda name, op: {"property": name, "op": op},
              st.sampled_from(sorted(PROPERTIES)), st.sampled_from(["exists", "not_exists"])),
)  # fmt: skip
outside_rules = st.builds(
    lambda op, n, within, where: {
        "event": OUTSIDE, "op": op, "value": n, "where": where, **({} if within is None else {"within": within}),
    },
    st.sampled_from(["at_least", "at_most", "exactly"]), st.integers(0, 2), st.none() | spans,
    st.lists(property_tests, max_size=2),
)  # fmt: skip
money_rules = st.one_of(
    st.builds(lambda money, currency, op, value: {"money": money, "currency": currency, "op": op, "value": value},
              st.sampled_from(["conversions", "total"]), st.sampled_from(CURRENCIES),
              st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), st.sampled_from([0, 1, 2, 99.9, 1000])),
    st.builds(lambda money, currency, op: {"money": money, "currency": currency, "op": op},
              st.sampled_from(["conversions", "total", "last_at"]), st.sampled_from(CURRENCIES),
              st.sampled_from(["exists", "not_exists"])),
    st.builds(lambda currency, op, value: {"money": "last_at", "currency": currency, "op": op, "value": value},
              st.sampled_from(CURRENCIES), st.sampled_from(["within", "not_within"]), spans),
)  # fmt: skip
bucket_rules = st.builds(
    lambda salt, of, start, size: {
        "bucket": {"salt": salt, "of": of, "from": start % of, "to": min(start % of + size, of)},
    },
    st.sampled_from(["a", "آزمون", "x:y"]), st.sampled_from([2, 3, 100]), st.integers(0, 99), st.integers(1, 60),
)  # fmt: skip
segment_rules = st.builds(
    lambda n, op: {"segment": n, "op": op}, st.integers(0, 1), st.sampled_from(["member", "not_member"])
)
snapshot_rules = st.builds(lambda op: {"snapshot": 0, "op": op}, st.sampled_from(["member", "not_member"]))
list_rules = st.builds(
    lambda n, op: {"list": n, "op": op}, st.integers(0, 1), st.sampled_from(["member", "not_member"])
)
rules = st.recursive(
    st.one_of(
        comparisons(),
        comparisons(),
        tag_rules,
        consent_rules,
        event_rules,
        outside_rules,
        list_rules,
        last_rules,
        money_rules,
        bucket_rules,
        segment_rules,
        snapshot_rules,
    ),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)


def people() -> list[tuple[Someone, Person, list[Activity]]]:
    """Sixty contacts that between them have every value, several and none."""
    found = []
    for n in range(60):

        def pick(values, salt, n=n):
            index = (n * 7 + salt * 13 + n // 5) % (len(values) + 1)
            return None if index == len(values) else values[index]

        fields = {
            "first_name": pick(TEXTS, 1), "last_name": pick(["", *TEXTS], 2), "language": pick(["ar", "fa", "en"], 3),
            "country": pick(["IR", "DE"], 4), "timezone": pick(["Asia/Tehran"], 5), "stage": pick(STAGES, 6) or "lead",
            "score": float(pick(NUMBERS, 7) or 0), "created_at": pick(MOMENTS, 8) or NOW - timedelta(days=29, hours=3),
            "phone": (phone := pick(PHONES, 20)), "phone_normalised": normalise(phone, None) if phone else None,
            "company": pick(TEXTS, 21), "city": pick(["", *TEXTS], 22), "owner": pick(TEXTS, 23),
        }  # fmt: skip
        money = {
            currency: {
                "conversions": float(n % 4), "total": (0.0, 99.9, 1000.0)[n % 3], "last_at": MOMENTS[(n + i) % 6],
            }
            for i, currency in enumerate(CURRENCIES) if (n + i) % 3
        }  # fmt: skip
        attributes = {
            "city": pick(TEXTS, 9), "note": pick(["", "x" * 600, *TEXTS], 10), "age": pick(NUMBERS, 11),
            "rank": pick(NUMBERS, 12), "vip": pick([True, False], 13), "gold": pick([True, False], 14),
            "born": pick([*DATES, "2026-05-31T10:00:00Z"], 15), "seen": pick([*DATES, "2026-05-31 23:59"], 16),
        }  # fmt: skip
        attributes = {name: value for name, value in attributes.items() if value is not None}
        tags = [tag for i, tag in enumerate(TAGS) if (n >> i) & 1]
        email = f"{pick(['Berlin', 'a_b', 'يزد'], 17) or 'p'}{n}@example.com"
        consents = {
            purpose_id(WORKSPACE, key): status
            for i, key in enumerate(PURPOSES)
            if (status := pick(["subscribed", "unsubscribed", "pending", "none"], 18 + i))
        }
        activity = [
            Activity(EVENTS[(n + i) % 3], NOW - timedelta(days=(0, 1, 29, 30, 31)[(n * i) % 5]), (n + i) % 4 == 0,
                     pick(CAMPAIGNS, i))
            for i in range(n % 6)
        ]  # fmt: skip
        activity += [Activity(OUTSIDE, MOMENTS[(n + i) % 6], properties=TOLD[(n * 5 + i) % 6]) for i in range(n % 4)]
        someone = Someone(email, None, fields, attributes, tags)
        person = Person(
            {**fields, "email": email}, attributes, tags, frozenset(), consents, activity, someone.id, money
        )
        found.append((someone, person, activity))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(postgres):
    async with service_database(postgres, "contacts") as db:
        known = people()
        for workspace in (WORKSPACE, FOREIGN):
            for name, kind in KINDS.items():
                await define(db.worker, workspace, name, kind, indexed=name in INDEXED)
        await store(db.worker, WORKSPACE, [someone for someone, _, _ in known])
        await store(db.worker, FOREIGN, [Someone("Berlin@example.com", attributes={"city": "تهران", "age": 1})])
        lists = [
            await make_list(db.worker, WORKSPACE, [someone.id for n, (someone, _, _) in enumerate(known) if n % k == 0])
            for k in (2, 3)
        ]
        persons = {}
        async with db.worker.transaction(WORKSPACE) as tx:
            for n, (someone, person, activity) in enumerate(known):
                await tx.executemany(
                    "insert into consents (workspace_id, contact_id, purpose_id, status) values ($1, $2, $3, $4)",
                    [(WORKSPACE, someone.id, purpose, status) for purpose, status in person.consents.items()],
                )
                await tx.executemany(
                    "insert into activity (workspace_id, event_id, contact_id, type, at, machine, campaign_id,"
                    " properties) values ($1, $2, $3, $4, $5, $6, $7, $8)",
                    [
                        (WORKSPACE, new_id(), someone.id, a.event, a.at, a.machine, a.campaign_id, a.properties)
                        for a in activity
                    ],
                )
                await tx.executemany(
                    "insert into contact_money (workspace_id, contact_id, currency, conversions, total, last_at)"
                    " values ($1, $2, $3, $4, $5, $6)",
                    [(WORKSPACE, someone.id, currency, int(m["conversions"]), Decimal(str(m["total"])), m["last_at"])
                     for currency, m in person.money.items()],
                )  # fmt: skip
                on = frozenset(one for one, k in zip(lists, (2, 3), strict=True) if n % k == 0)
                persons[someone.id] = replace(person, lists=on)
            await event_definitions.insert(tx, WORKSPACE, OUTSIDE, None, PROPERTIES)
            attributes = await segments.attributes(tx, WORKSPACE)
        stored: list[UUID] = []
        for document in SEGMENTS:
            stored.append(await make_segment(db.worker, WORKSPACE, with_ids(document, lists, stored)))
        async with db.worker.transaction(WORKSPACE) as tx:
            snapshot = (await create_snapshot(tx, WORKSPACE, stored[0], "a snapshot", "me"))["id"]
            rule = await usable(tx, WORKSPACE, {"segment": str(stored[0])}, attributes)
            await segment_snapshots.freeze(tx, WORKSPACE, snapshot, rule, NOW)
        for contact_id, person in persons.items():
            if holds(rule, person, NOW):
                persons[contact_id] = replace(person, snapshots=frozenset([snapshot]))
        yield db, lists, stored, [snapshot], persons, attributes


def with_ids(rule, lists, stored, snapshots=()):
    """The drawn rule names lists and segments by number."""
    known = {"list": lists, "segment": stored, "snapshot": snapshots}
    if isinstance(rule, dict):
        return {
            key: str(known[key][value]) if key in known else with_ids(value, lists, stored, snapshots)
            for key, value in rule.items()
        }
    return [with_ids(part, lists, stored, snapshots) for part in rule] if isinstance(rule, list) else rule


async def check(world, drawn):
    everybody = sa.select(sa.column("id", sa.Uuid())).select_from(sa.table("contacts"))
    db, lists, stored, snapshots, persons, attributes = world
    document = with_ids(drawn, lists, stored, snapshots)
    async with db.api.transaction(WORKSPACE, readonly=True) as tx:
        rule = await usable(tx, WORKSPACE, document, attributes)
        expected = {contact_id for contact_id, person in persons.items() if holds(rule, person, NOW)}
        for select in segment_sql.matching(rule, WORKSPACE, NOW), segment_sql.judged(rule, WORKSPACE, NOW, everybody):
            query = segment_sql.statement(select)
            assert {row["id"] for row in await tx.fetch(query.sql, *query.args)} == expected, drawn
        assert await segments.count(tx, WORKSPACE, rule, NOW) == len(expected)
        someone = sorted(persons)[zlib.crc32(repr(drawn).encode()) % len(persons)]
        known = await segment_people.person(tx, WORKSPACE, someone, [*EVENTS, OUTSIDE])
    explained = explain(rule, known, NOW, {})
    assert explained.holds == (someone in expected), drawn
    assert all(part.says for part in nodes(explained))
    left_out = segment_sql.statement(segment_audiences.chosen([rule], lists[:1], [rule], WORKSPACE, NOW))
    async with db.worker.transaction() as tx:
        rows = await tx.fetch(left_out.sql, *left_out.args)
    on_list = {contact_id for contact_id, person in persons.items() if lists[0] in person.lists}
    assert {row["id"] for row in rows} == expected | on_list
    assert len(rows) == len(expected | on_list)
    assert {row["id"] for row in rows if row["left_out"]} == expected


def nodes(explained):
    yield explained
    for part in explained.parts:
        yield from nodes(part)


def examples(number):
    return settings(
        max_examples=times(number, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_generated_rules_mean_the_same_in_sql(world):
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(_generate, world, loop, 250)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="module")
async def test_ten_thousand_generated_rules_mean_the_same_in_sql(world):
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(_generate, world, loop, 10_000)


def _generate(world, loop, number):
    @examples(number)
    @given(rules)
    def run(drawn):
        asyncio.run_coroutine_threadsafe(check(world, drawn), loop).result(30)

    run()


@pytest.mark.parametrize(
    "rule",
    [
        {"all": []},
        {"not": {"all": []}},
        {"not": {"not": {"field": "attributes.city", "op": "not_exists"}}},
        {"any": [{"field": "attributes.age", "op": "gt", "value": 1},
                 {"field": "tags", "op": "contains", "value": "vip"}]},
        {"all": [{"field": "attributes.age", "op": "gt", "value": 0}, {"field": "tags", "op": "exists"}]},
        {"field": "attributes.city", "op": "contains", "value": "يزد"},
        {"field": "email", "op": "eq", "value": " BERLIN0@Example.com"},
        {"field": "phone", "op": "eq", "value": "0098 (21) 12345678"},
        {"field": "attributes.born", "op": "anniversary", "value": "today"},
        {"field": "attributes.born", "op": "within_next", "value": "1d"},
        {"all": [{"segment": 1}, {"not": {"segment": 0}}]},
        {"event": "webinar.attended", "op": "at_least", "value": 1, "where": [
            {"property": "minutes", "op": "gte", "value": 1}, {"property": "room", "op": "neq", "value": "تهران"}]},
    ],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_chosen_rules_mean_the_same_in_sql(world, rule):
    await check(world, rule)
