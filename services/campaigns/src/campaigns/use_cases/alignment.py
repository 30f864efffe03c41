"""Whether receivers will take a campaign's mail for its sender's: warned about, or refused where the policy says so."""

import asyncio
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
from common.contracts.addresses import a_label
from common.db.pool import Connection

from campaigns.db import domains
from campaigns.domain.warnings import Warned
from campaigns.errors import SenderUnaligned
from campaigns.use_cases.projections import EVERY_S, WAIT_S, refuse_if_behind

Policy = Literal["warn", "refuse"]


@dataclass(frozen=True, slots=True)
class Installation:
    """What holds for every workspace. `signed`: the domains that mailers have keys of the installation for."""

    policy: Policy = "warn"
    signed: AbstractSet[str] = frozenset()


async def warnings(
    tx: Connection,
    workspace: asyncpg.Record,
    sender: asyncpg.Record,
    installation: Installation,
    wait_s: float = WAIT_S,
) -> list[Warned]:
    """What to say of the sender's domain. Raises SenderUnaligned and ProjectionBehind where a policy refuses."""
    domain = a_label(sender["email"].rpartition("@")[2])
    refuse = "refuse" in {installation.policy, workspace["sender_policy"]}
    signed = domain in installation.signed
    found = await _signing(tx, workspace["workspace_id"], domain, wait_s if refuse and not signed else 0)
    if found is None:
        if signed:
            return []
        if refuse:
            await refuse_if_behind(tx, wait_s)
            raise SenderUnaligned(f"Mail from {domain} would not be signed for {domain}", domain=domain)
        return [
            Warned(
                code="sender_unaligned",
                message=f"Mail from {domain} is not signed for it, so Gmail, Yahoo and Outlook refuse it in bulk."
                " Add the domain with POST /v1/domains and publish its records.",
                params={"domain": domain},
            )
        ]
    if not found["failing"]:
        return []
    return [
        Warned(
            code="sender_domain_failing",
            message=f"Checks of {found['name']} fail: {', '.join(found['failing'])}."
            " GET /v1/domains says what to publish.",
            params={"domain": found["name"], "failing": found["failing"]},
        )
    ]


async def _signing(tx: Connection, workspace_id: UUID, domain: str, wait_s: float) -> asyncpg.Record | None:
    labels = domain.split(".")
    lineage = [".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]
    deadline = time.monotonic() + wait_s
    while True:
        found = await domains.signing_for(tx, workspace_id, domain, lineage)
        if found is not None or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(EVERY_S)  # the event that says so may be on its way
