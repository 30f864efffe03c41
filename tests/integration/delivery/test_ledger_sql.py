"""The SQL and the pure state machine say the same, step by step, over random histories."""

import random
from datetime import timedelta

import pytest
from common.contracts.leads import LeadErasedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from delivery.db import mailers, marks, messages, outcomes
from delivery.db.outcomes import Outcome
from delivery.domain import ledger
from delivery.domain.ledger import Message
from delivery.use_cases.upkeep import reap_mailers, sweep

from tests.fixtures.sending import MAIN, Campaign

PEOPLE = 8
STEPS = 60


async def read(db, campaign_id):
    async with db.worker.connection() as connection:
        found = await connection.fetch("select * from messages where mailing_id = $1", campaign_id)
    return {
        row["id"]: Message(
            row["status"], row["attempt"], row["revision"], row["class"], row["email"] is None, row["resent"]
        )
        for row in found
    }


@pytest.mark.parametrize("seed", range(5))
async def test_random_histories(delivery_db, workspace_id, seed):
    chance = random.Random(seed)
    campaign = Campaign(workspace_id, n=PEOPLE)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    contact_of = {}
    async with delivery_db.worker.connection() as connection:
        for row in await connection.fetch("select id, contact_id from messages"):
            contact_of[row["id"]] = row["contact_id"]
    model = await read(delivery_db, campaign.id)
    assert set(model.values()) == {Message()}
    state, revision, mailer = "running", 1, new_id()

    def step(message_id, after):
        if after is not None:
            model[message_id] = after

    async with delivery_db.worker.connection() as connection:
        epoch = await mailers.register(connection, mailer, "test")
    for _ in range(STEPS):
        what = chance.choice(["take", "take", "settle", "settle", "late", "die", "steer", "sweep", "erase", "person"])
        some = chance.choice(sorted(model))
        if what == "take":
            async with delivery_db.worker.transaction() as tx:
                rows = await marks.take(tx, mailer, epoch, chance.randint(1, 3), marks.unlimited(["other"], 64))
            for row in rows:
                step(row["id"], ledger.take(model[row["id"]], state, None))
            if state != "running":
                assert rows == []
        elif what in {"settle", "late"}:
            attempt = model[some].attempt - (what == "late")
            status = chance.choice(["sent", "deferred", "failed", "uncertain", "pending"])
            klass = "other" if status in {"failed", "uncertain"} else ""
            outcome = Outcome(workspace_id, some, attempt, status, klass, wait=timedelta(seconds=-1))
            async with delivery_db.worker.transaction() as tx:
                if status == "sent":
                    await outcomes.accept(tx, mailer, epoch, [outcome], None)
                else:
                    await outcomes.settle(tx, [outcome])
                    await marks.unmark(tx, mailer, epoch, [workspace_id], [some])
            step(some, ledger.settle(model[some], attempt, status, klass))
        elif what == "die":
            async with delivery_db.worker.connection() as connection:
                await connection.execute("update mailers set expires_at = now() - interval '1 second'")
            await reap_mailers(delivery_db.worker)
            for message_id in model:
                step(message_id, ledger.reap(model[message_id]))
            async with delivery_db.worker.connection() as connection:
                epoch = await mailers.register(connection, mailer, "test")
        elif what == "steer" and state != "cancelled":
            state = chance.choice(["running", "running", "paused", "running", "cancelled"])
            revision += 1
            await deliver(delivery_db.worker, MAIN, [campaign.state(state, revision)])
        elif what == "sweep":
            await sweep(delivery_db.worker)
            for message_id in model:
                if state == "cancelled":
                    step(message_id, ledger.cancel(model[message_id]))
        elif what == "erase" and chance.random() < 0.3:
            event = LeadErasedV1(contact_id=contact_of[some], request_id=new_id(), address_hashes=[])
            await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, event)])
            step(some, ledger.erase(model[some]))
        elif what == "person":
            if chance.random() < 0.5:
                async with delivery_db.worker.transaction() as tx:
                    await messages.resend(tx, workspace_id, some)
                step(some, ledger.resend(model[some]))
            else:
                async with delivery_db.worker.transaction() as tx:
                    await messages.resolve(tx, workspace_id, some, "sent", "")
                step(some, ledger.resolve(model[some], delivered=True))
        assert await read(delivery_db, campaign.id) == model, what
        async with delivery_db.worker.connection() as connection:
            counted = await connection.fetch("select status, class, n from message_counts where n <> 0")
            real = await connection.fetch("select status, class, count(*) as n from messages group by 1, 2")
            marked = await connection.fetchval("select coalesce(sum(cardinality(ids)), 0) from intents")
        assert {tuple(row) for row in counted} == {tuple(row) for row in real}, what
        assert marked == sum(one.status == "attempting" for one in model.values()), what
