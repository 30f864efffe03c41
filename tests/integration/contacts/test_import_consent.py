"""No file raises the consent of somebody who left, complained, is suppressed or was erased: any state, any options."""

import random
from typing import Any

import pytest
from contacts.domain.consent import imported

from tests.integration.contacts.service import CONSENT, csv_of, import_file

STATES = (None, "subscribed", "pending", "unsubscribed")
BLOCKS = (None, "address", "domain", "lifted")
RANK = {"unsubscribed": 0, None: 1, "none": 1, "pending": 2, "subscribed": 3}


async def _people(client, database) -> dict[str, dict[str, Any]]:
    """Somebody in every state and under every block."""
    people: dict[str, dict[str, Any]] = {}
    for n, state in enumerate(STATES):
        for m, block in enumerate(BLOCKS):
            email = f"p{n}{m}@d{n}{m}.example"
            body: dict[str, Any] = {"email": email}
            if state is not None:
                body["consent"] = {"status": state, "purpose": "newsletter", "source": "by hand"}
            made = (await client.post("/v1/contacts", json=body)).json()
            assert made.get("id"), made
            if block is not None:
                what = {"domain": email.partition("@")[2]} if block == "domain" else {"email": email}
                put = (await client.post("/v1/suppressions", json={**what, "reason": "complained"})).json()
                if block == "lifted":
                    await client.delete(f"/v1/suppressions/{put['id']}")
            people[email] = {"id": made["id"], "state": state, "suppressed": block in ("address", "domain")}
    return people


async def _states(database) -> dict[str, str]:
    async with database.worker.connection() as connection:
        return dict(
            await connection.fetch("""select c.email_normalised, k.status from contacts c
                 join consents k on k.workspace_id = c.workspace_id and k.contact_id = c.id""")
        )


@pytest.mark.parametrize("seed", range(6))
async def test_an_import_makes_of_a_consent_what_the_rule_says_and_never_more(client, contacts_db, seed):
    chance = random.Random(seed)
    people = await _people(client, contacts_db)
    erased = chance.sample(sorted(people), 4)
    for email in erased:
        await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": people[email]["id"]})
    listed = (await client.post("/v1/lists", json={"name": "expo"})).json()["id"]
    spoken = {email: one["state"] for email, one in people.items()}
    for _ in range(3):
        before = await _states(contacts_db)
        wanted = chance.choice(["subscribed", "subscribed", "pending", "unsubscribed"])
        written = {email: chance.choice([email, email.upper(), f" {email}\u200f"]) for email in people}
        done = await import_file(
            client, contacts_db, csv_of(*(f"{one},N{chance.random()},,,," for one in written.values())),
            consent={**CONSENT, "status": wanted, "tracking": chance.choice(["individual", "none", None])},
            list_ids=chance.choice([[], [listed]]), tags=chance.choice([[], ["vip"]]),
            on_conflict=chance.choice(["update", {"default": "erase"}, {"default": "fill"}]),
        )  # fmt: skip
        assert (done["status"], done["rows"]["rejected"]) == ("completed", len(erased))
        after = await _states(contacts_db)
        assert not set(erased) & set(after), "an erased person comes back only by their own word"
        for email in set(people) - set(erased):
            one = people[email]
            rule = imported(before.get(email), wanted, suppressed=one["suppressed"])  # type: ignore[arg-type]
            assert after.get(email) == (rule or before.get(email)), (email, wanted)
            if spoken[email] == "unsubscribed" or one["suppressed"]:
                assert RANK[after.get(email)] <= RANK[before.get(email)], (email, wanted)
    async with contacts_db.worker.connection() as connection:
        tracked = await connection.fetchval("select count(*) from contacts where tracking <> 'none'")
    assert tracked == 0, "nor is anybody counted who did not say so"
