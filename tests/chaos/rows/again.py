"""Events told again and in other orders: people, what they consented to, where they belong and their scores stay."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from common.contracts.email import EmailBouncedV1, EmailClickedV1, EmailOpenedV1, EmailSentV1, EmailUnsubscribedV1
from common.contracts.envelope import Record
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.chaos.bench import Bench, Sending
from tests.chaos.checker import Terms
from tests.chaos.rows import Outcome, row
from tests.chaos.told import Places, now, put_back, tell, told, until_heard

MOST = 50  # how often an event comes at most
OFTEN = 0.02  # of the events; the others come twice
SETTLE_S = 90
RULES: list[dict[str, Any]] = [
    {"event": "email.opened", "op": "at_least", "value": 1},
    {"event": "email.clicked", "op": "at_least", "value": 2, "within": "30d"},
    {"field": "consent", "op": "eq", "value": "subscribed"},
    {"field": "score", "op": "gte", "value": 10},
]

# Points for ever: a score that is reckoned a minute later is the same.
SCORING: dict[str, Any] = {
    "rules": [
        {"key": name, "type": f"email.{name}", "points": points, "half_life_days": 3650, "cap": 100}
        for name, points in (("opened", 2), ("clicked", 10), ("unsubscribed", -40))
    ],
    "grades": [{"grade": "A", "from_score": 20}, {"grade": "B", "from_score": 5}],
}

# By the beginning of the address, so that two crowds can be compared: who is n-th in the one is n-th in the other.
_STATE = """
with people as (select id, split_part(email, 'n', 2) as name from contacts where starts_with(email, $1))
select name, 'is' as what,
       concat_ws(' ', round(c.score::numeric, 1), c.grade, c.stage, c.tags, c.attributes, c.first_name) as value
  from people join contacts c using (id)
union all
select name, 'consent', k.status || ' by ' || (
         select count(*) from consent_records r where r.contact_id = people.id and r.purpose_id = k.purpose_id)
  from people join consents k on k.contact_id = id
union all
select name, 'suppressed', s.reason || ' ' || s.active
  from people join contacts c using (id) join suppressions s on s.scope = 'address' and s.hash = c.address_hash
union all
select name, 'did', a.type || ' ' || count(*) from people join activity a on a.contact_id = id group by name, a.type
union all
select people.name, 'in', s.name from people join segment_members m on m.contact_id = id
  join segments s on s.id = m.segment_id where s.description = 'chaos'
"""
_WAITING = "select count(*) from segment_touched"
_SCORES = "select count(*) from score_due where due_at < now() + interval '10 seconds'"

State = set[tuple[str, str, str]]


@row("F12", "every event told again, some up to 50 times, and all read anew")
def told_again(bench: Bench) -> Outcome:
    """Nothing changes: not by copies on the bus, and not by consumers whose offsets are put back."""
    _segments(bench)
    since = now(bench)
    sending = bench.send(count=bench.size // 4)
    verdict = bench.verdict(sending, Terms())
    people = _ids(bench, sending.tag)
    tell(bench, _happened(bench, people, new_id(), bench.random("F12 happened")))
    before = _settled(bench, sending.tag, since) | _books(bench, sending)
    chance = bench.random("F12")
    events = [one.record for one in told(bench, since)]
    copies = tell(bench, (one for one in events for _ in range(_times(chance))))
    said = _differences(before, _settled(bench, sending.tag, since) | _books(bench, sending), "told again")
    put_back(bench, since)
    bench.kill("all")
    said += _differences(before, _settled(bench, sending.tag, since) | _books(bench, sending), "read anew")
    return [verdict], f"{len(events):,} events, {copies:,} copies, then all read anew", said


@row("F13", "events out of order within and across keys, up to a day late")
def out_of_order(bench: Bench) -> Outcome:
    """The same things happen to two crowds: told in order of the one, in any order of the other."""
    _segments(bench)
    chance, since = bench.random("F13"), now(bench)
    states = []
    for shuffled in (False, True):
        tag, wanted = bench.people(bench.size // 4)
        people = _ids(bench, tag)
        records = list(_happened(bench, people, new_id(), bench.random("F13 happened")))
        if shuffled:
            chance.shuffle(records)
        else:
            records.sort(key=lambda one: one.time)
        tell(bench, records)
        states.append(_settled(bench, tag, since))
    return (
        [],
        f"{len(records):,} events of {len(wanted):,} people, in order and shuffled",
        _differences(states[0], states[1], "out of order"),
    )


def _books(bench: Bench, sending: Sending) -> State:
    """What was sent and told of the campaign."""
    told_of = {"report": bench.outside.report(sending.id), "balance": bench.outside.balance(sending.id)}
    facts = {(name, what, str(value)) for name, books in told_of.items() for what, value in books.items()}
    return facts | {("sink", "mails", str(bench.arrived(sending)))}


def _segments(bench: Bench) -> None:
    """Segments over everything that the events move, and points that hardly fade: of earlier rows they may be there."""
    bench.outside.call("PUT", "/v1/scoring", json=SCORING, headers={"If-Match": "*"})
    there = bench.databases.read("contacts", "select 1 from segments where description = 'chaos'")
    for n, rule in enumerate([] if there else RULES):
        body = {"name": f"chaos {n}", "description": "chaos", "rule": rule}
        bench.outside.call("POST", "/v1/segments", json=body)


def _ids(bench: Bench, tag: str) -> list[UUID]:
    """The people, the n-th first."""
    rows = bench.databases.read("contacts", "select id, email from contacts where starts_with(email, $1)", tag)
    return [row["id"] for row in sorted(rows, key=lambda row: int(row["email"].removeprefix(tag).partition("@")[0]))]


def _happened(bench: Bench, people: list[UUID], campaign: UUID, chance: Random) -> Iterator[Record]:
    """What people do with a mail within a day: open, click, come back, leave. By chance, the same for each crowd."""
    workspace = bench.databases.read("contacts", "select workspace_id from contacts where id = $1", people[0])[0][0]
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    for contact in people:
        about: dict[str, Any] = {
            "message_id": new_id(), "kind": "campaign", "contact_id": contact, "campaign_id": campaign,
            "purpose_id": purpose_id(workspace, "newsletter"),
        }  # fmt: skip
        sent = begun + timedelta(minutes=chance.randrange(60))
        data: list[Any] = [EmailSentV1(**about, attempt=1, revision=2, provider="gmail")]
        data += [EmailOpenedV1(**about) for _ in range(chance.choice([0, 0, 1, 3]))]
        data += [EmailClickedV1(**about, link=n, url="https://shop.example/") for n in range(chance.choice([0, 0, 2]))]
        if chance.random() < 0.05:
            data.append(EmailUnsubscribedV1(**about, method="one_click", scope=chance.choice(["purpose", "all"]),
                                            block_id=new_id()))  # fmt: skip
        elif chance.random() < 0.02:
            data.append(
                EmailBouncedV1(**about, provider="gmail", bounce="hard", reason="bad_mailbox", block_id=new_id())
            )
        for n, one in enumerate(data):
            yield as_record(Outgoing(workspace, one, time=sent + timedelta(minutes=n * 10)))


def _times(chance: Random) -> int:
    return chance.randrange(2, MOST) if chance.random() < OFTEN else 1


def _settled(bench: Bench, tag: str, since: Places) -> State:
    """The crowd, once every event was heard and what follows from it is done."""
    until_heard(bench, since)
    for service, waiting in (("analytics", _SCORES), ("contacts", _WAITING)):
        bench.outside.until(lambda s=service, w=waiting: bench.databases.read(s, w)[0][0], lambda n: n == 0, SETTLE_S)
    until_heard(bench, since)  # the scores
    bench.outside.until(lambda: bench.databases.read("contacts", _WAITING)[0][0], lambda n: n == 0, SETTLE_S)
    found = {(r["name"], r["what"], r["value"]) for r in bench.databases.read("contacts", _STATE, tag)}
    assert len({value for _, what, value in found if what == "in"}) == len(RULES), "nothing moved: nothing is compared"
    return found


def _differences(before: State, after: State, how: str) -> list[str]:
    if before == after:
        return []
    gone, new = sorted(before - after), sorted(after - before)
    return [f"{how}: {len(gone)} facts gone, {len(new)} new; {gone[:3]} became {new[:3]}"]
