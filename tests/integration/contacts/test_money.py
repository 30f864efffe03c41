"""What conversions come to for a contact: number, sum and last date per currency."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from common.contracts.money import ConversionRecordedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.contacts import people
from tests.integration.contacts.people import Someone
from tests.integration.contacts.test_blocks_and_erasure import main
from tests.integration.contacts.test_merging import merge, undo

DAY = datetime(2026, 3, 20, tzinfo=UTC)
CONVERSIONS = [UUID(int=n) for n in range(1, 5)]


def told(contact_id: UUID, n: int = 0, revision: int = 1, amount: str = "10", **fields) -> ConversionRecordedV1:
    given = {"currency": "EUR", "occurred_at": DAY + timedelta(days=n), **fields}
    return ConversionRecordedV1(
        conversion_id=CONVERSIONS[n], contact_id=contact_id, revision=revision, amount=Decimal(amount), **given
    )


async def money(database, workspace_id: UUID) -> dict[tuple[UUID, str], tuple[int, Decimal, datetime]]:
    async with database.worker.connection() as connection:
        rows = await connection.fetch("select * from contact_money where workspace_id = $1", workspace_id)
    return {
        (row["contact_id"], row["currency"]): (row["conversions"], row["total"].normalize(), row["last_at"])
        for row in rows
    }


@st.composite
def histories(draw):
    """Each conversion's states, and the same in any order, some of them doubled, in batches."""
    states = [
        (n, revision, draw(st.integers(0, 20)), draw(st.integers(0, 20)), draw(st.sampled_from(["EUR", "IRR"])),
         draw(st.integers(0, 9)), draw(st.booleans()))
        for n in range(draw(st.integers(1, 4))) for revision in range(1, draw(st.integers(1, 3)) + 1)
    ]  # fmt: skip
    events = draw(st.permutations(states + draw(st.lists(st.sampled_from(states), max_size=3))))
    return states, events, draw(st.integers(1, len(events)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_any_order_of_what_is_told_comes_to_the_sums_of_what_stands(contacts_db, history):
    states, events, size = history
    workspace_id, one, other = new_id(), Someone("a@x.example"), Someone("b@x.example")
    await people.store(contacts_db.worker, workspace_id, [one, other])

    def event(n, revision, amount, refunded, currency, day, voided):
        return told(
            (one, other)[n % 2].id, n, revision, str(amount), refunded=min(refunded, amount), currency=currency,
            occurred_at=DAY + timedelta(days=day), voided=voided,
        )  # fmt: skip

    for start in range(0, len(events), size):
        batch = [Outgoing(workspace_id, event(*state)) for state in events[start : start + size]]
        await deliver(contacts_db.worker, main(), batch)
    expected = {}
    for n, *_ in {state[0]: state for state in states}.values():
        last = event(*max(state for state in states if state[0] == n))
        if last.voided or 0 < last.amount == last.refunded:
            continue
        key = (last.contact_id, last.currency)
        count, total, at = expected.get(key, (0, Decimal(0), DAY - timedelta(days=1)))
        expected[key] = (count + 1, (total + last.amount - last.refunded).normalize(), max(at, last.occurred_at))
    assert await money(contacts_db, workspace_id) == expected


async def test_money_is_in_rules_follows_a_merge_there_and_back_and_goes_with_the_person(
    client, contacts_db, workspace_id
):
    ids = []
    for name in ("a", "b"):
        made = await client.post("/v1/contacts", json={"email": f"{name}@x.example"})
        ids.append(made.json()["id"])
    kept, gone = map(UUID, ids)
    events = [Outgoing(workspace_id, told(kept)), Outgoing(workspace_id, told(gone, 1, amount="0.50"))]
    await deliver(contacts_db.worker, main(), events)
    apart = {(kept, "EUR"): (1, Decimal("1E+1"), DAY), (gone, "EUR"): (1, Decimal("0.5"), DAY + timedelta(days=1))}
    assert await money(contacts_db, workspace_id) == apart
    for rule, count in (
        ({"money": "total", "currency": "EUR", "op": "gte", "value": 10}, 1),
        ({"money": "conversions", "currency": "EUR", "op": "gte", "value": 1}, 2),
        ({"money": "last_at", "currency": "EUR", "op": "gt", "value": "2026-03-20T12:00:00Z"}, 1),
        ({"money": "total", "currency": "IRR", "op": "gte", "value": 0}, 0),
    ):
        preview = await client.post("/v1/segments/preview", json={"rule": rule})
        assert preview.json()["count"] == count, preview.text

    made = await merge(client, str(kept), str(gone))
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, told(gone, 1, revision=2, amount="5"))])
    assert await money(contacts_db, workspace_id) == {
        (kept, "EUR"): (2, Decimal("15"), DAY + timedelta(days=1)),
    }
    await undo(client, made)
    assert await money(contacts_db, workspace_id) == {
        (kept, "EUR"): (1, Decimal("1E+1"), DAY), (gone, "EUR"): (1, Decimal("5"), DAY + timedelta(days=1)),
    }  # fmt: skip
    asked = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(kept)})
    assert asked.status_code == 202, asked.text
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, told(kept, 2))])
    assert {contact for contact, _ in await money(contacts_db, workspace_id)} == {gone}
