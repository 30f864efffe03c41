"""Sealing keys that change: everything is sealed anew, and then opens without the old key."""

import base64
import os

import pytest
from common.errors import Misconfigured
from common.ids import new_id
from common.sealing import Sealer
from delivery.domain.domain_checks import Facts
from delivery.jobs import reseal as command
from delivery.settings import Settings
from delivery.use_cases import domains, provider_events, ways
from delivery.use_cases.resealing import reseal
from delivery.use_cases.signing import DomainKeys

OLD, NEW, LOST = os.urandom(32), os.urandom(32), os.urandom(32)
ROUTE = """
insert into routes (workspace_id, id, name, host, port, tls, password, priority, weight, enabled, limits)
values ($1, $2, 'relay', 'relay.test', 465, 'implicit', $3, 1, 1, true, '{}')
"""
ENDPOINT = """
insert into provider_endpoints (workspace_id, id, provider, name, token_hash, secret)
values ($1, $2, 'ses', 'SES', '\\x00', $3)
"""
SECRETS = """
select private_key from dkim_keys union all select password from routes union all select secret from provider_endpoints
"""


async def filled(db, sealer):
    """A workspace with one of each secret."""
    workspace_id, route_id, endpoint_id = new_id(), new_id(), new_id()
    async with db.transaction() as tx:
        row = await domains.create(tx, sealer, Facts(), workspace_id, "shop.test", ed25519=True)
        await tx.execute("update dkim_keys set state = 'active'")
        password = sealer.seal(b"pass", ways.password_context(workspace_id, route_id))
        await tx.execute(ROUTE, workspace_id, route_id, password)
        secret = sealer.seal(b"{}", provider_events.secret_context(workspace_id, endpoint_id))
        await tx.execute(ENDPOINT, workspace_id, endpoint_id, secret)
        await tx.execute(ROUTE.replace("$3", "null").replace("'relay'", "'open'"), workspace_id, new_id())
    return workspace_id, route_id, endpoint_id, row["id"]


async def test_everything_sealed_opens_by_the_new_key_alone(delivery_db):
    db = delivery_db.worker
    workspace_id, route_id, endpoint_id, _ = await filled(db, Sealer({"old": OLD}))
    both, new = Sealer({"new": NEW, "old": OLD}), Sealer({"new": NEW})
    assert await reseal(db, both) == (4, 0)
    assert await reseal(db, both) == (0, 0), "a second time there is nothing to do"
    keys = await DomainKeys(db, new).of(workspace_id, "shop.test")
    assert [type(key.private).__name__ for key in keys] == ["RSAPrivateKey", "Ed25519PrivateKey"]
    async with db.connection() as connection:
        password = await connection.fetchval("select password from routes where id = $1", route_id)
        secret = await connection.fetchval("select secret from provider_endpoints where id = $1", endpoint_id)
    assert new.open(password, ways.password_context(workspace_id, route_id)) == b"pass"
    assert new.open(secret, provider_events.secret_context(workspace_id, endpoint_id)) == b"{}"


async def test_what_no_key_opens_is_left_as_it_is_and_said(delivery_db, service_env):
    db = delivery_db.worker
    await filled(db, Sealer({"old": OLD}))
    workspace_id, *_ = await filled(db, Sealer({"lost": LOST}))
    ring = ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in (("new", NEW), ("old", OLD)))
    service_env("delivery", delivery_db, BARID_SEALING_KEYS=ring)
    with pytest.raises(Misconfigured, match="BARID_SEALING_KEYS opens all but 4 secrets"):
        await command(Settings(), None)
    async with db.connection() as connection:
        begun = [row[0][2 : 2 + row[0][1]] for row in await connection.fetch(SECRETS) if row[0]]
    assert sorted(begun) == [b"lost"] * 4 + [b"new"] * 4
    assert await DomainKeys(db, Sealer({"new": NEW})).of(workspace_id, "shop.test") == []


async def test_a_secret_moved_to_another_row_opens_nowhere(delivery_db):
    db, sealer = delivery_db.worker, Sealer({"old": OLD})
    workspace_id, *_ = await filled(db, sealer)
    other, *_ = await filled(db, sealer)
    async with db.transaction() as tx:
        await tx.execute(
            "update dkim_keys k set private_key = o.private_key from dkim_keys o where k.workspace_id = $1"
            " and o.workspace_id = $2 and o.algorithm = k.algorithm",
            workspace_id,
            other,
        )
    assert await DomainKeys(db, sealer).of(workspace_id, "shop.test") == []
    assert len(await DomainKeys(db, sealer).of(other, "shop.test")) == 2
