"""What analytics knows of workspaces, campaigns, contacts and consents: projections of other services' states."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from common.contracts.audiences import AudienceClosedV1
from common.contracts.campaigns import CampaignCompletedV1, CampaignStartedV1, CampaignStateV1, WorkspaceChangedV1
from common.contracts.envelope import Received
from common.contracts.leads import ConsentChangedV1, LeadData
from common.db.pool import Connection


async def upsert_workspaces(tx: Connection, events: Sequence[Received[WorkspaceChangedV1]]) -> None:
    """The newest revision of each workspace stands."""
    await tx.executemany(
        """
        insert into workspaces (workspace_id, revision, name, time_zone) values ($1, $2, $3, $4)
        on conflict (workspace_id) do update set revision = excluded.revision, name = excluded.name,
          time_zone = excluded.time_zone
        where excluded.revision > workspaces.revision
        """,
        [(e.workspace_id, e.data.revision, e.data.name, e.data.time_zone) for e in events],
    )


async def upsert_leads(tx: Connection, events: Sequence[Received[LeadData]]) -> None:
    """The newest revision of each contact stands; an erased one never comes back."""
    latest: dict[tuple[UUID, UUID], Received[LeadData]] = {}
    for event in events:
        key = (event.workspace_id, event.data.contact_id)
        if key not in latest or event.data.revision > latest[key].data.revision:
            latest[key] = event
    rows = [latest[key] for key in sorted(latest)]
    await tx.execute(
        """
        insert into leads (workspace_id, contact_id, revision, language, country, created_at)
        select l.* from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
          as l (workspace_id, contact_id, revision, language, country, created_at)
        where not exists (select from tombstones t
                          where t.workspace_id = l.workspace_id and t.contact_id = l.contact_id)
        on conflict (workspace_id, contact_id) do update
          set revision = excluded.revision, language = excluded.language, country = excluded.country
          where excluded.revision > leads.revision
        """,
        [e.workspace_id for e in rows],
        [e.data.contact_id for e in rows],
        [e.data.revision for e in rows],
        [e.data.language for e in rows],
        [e.data.country for e in rows],
        [e.data.created_at for e in rows],
    )


async def upsert_consents(tx: Connection, events: Sequence[Received[ConsentChangedV1]]) -> None:
    """The newest revision of each contact's consent to a purpose stands."""
    latest: dict[tuple[UUID, UUID, UUID], Received[ConsentChangedV1]] = {}
    for event in events:
        key = (event.workspace_id, event.data.contact_id, event.data.purpose_id)
        if key not in latest or event.data.revision > latest[key].data.revision:
            latest[key] = event
    rows = [latest[key] for key in sorted(latest)]
    await tx.execute(
        """
        insert into consents (workspace_id, contact_id, purpose_id, revision, status, at)
        select c.* from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[])
          as c (workspace_id, contact_id, purpose_id, revision, status, at)
        where not exists (select from tombstones t
                          where t.workspace_id = c.workspace_id and t.contact_id = c.contact_id)
        on conflict (workspace_id, contact_id, purpose_id) do update
          set revision = excluded.revision, status = excluded.status, at = excluded.at
          where excluded.revision > consents.revision
        """,
        [e.workspace_id for e in rows],
        [e.data.contact_id for e in rows],
        [e.data.purpose_id for e in rows],
        [e.data.revision for e in rows],
        [e.data.status for e in rows],
        [e.time for e in rows],
    )


async def begin_campaigns(tx: Connection, events: Sequence[Received[CampaignStartedV1]]) -> None:
    """Note what a campaign is called and when it began; a repeated start changes nothing."""
    await tx.executemany(
        """
        insert into campaigns (workspace_id, campaign_id, name, purpose_id, program_id, started_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (workspace_id, campaign_id) do update set name = excluded.name, purpose_id = excluded.purpose_id,
          program_id = excluded.program_id, started_at = excluded.started_at
        where campaigns.started_at is null
        """,
        [
            (e.workspace_id, e.data.campaign_id, e.data.name, e.data.purpose_id, e.data.program_id, e.time)
            for e in events
        ],
    )


async def set_campaign_states(tx: Connection, events: Sequence[Received[CampaignStateV1]]) -> None:
    """The newest state of each campaign stands."""
    await tx.executemany(
        """
        insert into campaigns (workspace_id, campaign_id, state, state_revision) values ($1, $2, $3, $4)
        on conflict (workspace_id, campaign_id) do update
          set state = excluded.state, state_revision = excluded.state_revision
          where excluded.state_revision > campaigns.state_revision
        """,
        [(e.workspace_id, e.data.campaign_id, e.data.state, e.data.revision) for e in events],
    )


async def close_audiences(tx: Connection, events: Sequence[Received[AudienceClosedV1]]) -> None:
    """Note who was meant and who was left out."""
    await tx.executemany(
        """
        insert into campaigns (workspace_id, campaign_id, audience, eligible, excluded) values ($1, $2, $3, $4, $5)
        on conflict (workspace_id, campaign_id) do update
          set audience = excluded.audience, eligible = excluded.eligible, excluded = excluded.excluded
        """,
        [(e.workspace_id, e.data.campaign_id, e.data.audience, e.data.eligible, e.data.excluded) for e in events],
    )


async def complete_campaigns(tx: Connection, events: Sequence[Received[CampaignCompletedV1]]) -> None:
    """Note how a campaign ended; the highest final revision stands."""
    await tx.executemany(
        """
        insert into campaigns (workspace_id, campaign_id, outcome, final_revision, completed_at)
        values ($1, $2, $3, $4, $5)
        on conflict (workspace_id, campaign_id) do update
          set outcome = excluded.outcome, final_revision = excluded.final_revision,
              completed_at = excluded.completed_at
          where campaigns.final_revision is null or excluded.final_revision > campaigns.final_revision
        """,
        [(e.workspace_id, e.data.campaign_id, e.data.outcome, e.data.final_revision, e.time) for e in events],
    )


async def campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> Record | None:
    """One campaign's row."""
    return await tx.fetchrow(
        "select * from campaigns where workspace_id = $1 and campaign_id = $2", workspace_id, campaign_id
    )


async def lead_exists(tx: Connection, workspace_id: UUID, contact_id: UUID) -> bool:
    """Whether analytics has heard of this contact."""
    return bool(
        await tx.fetchval(
            "select exists (select from leads where workspace_id = $1 and contact_id = $2)", workspace_id, contact_id
        )
    )


async def forget(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> None:
    """Delete what is known of erased people."""
    for table in ("leads", "consents", "segment_moves"):
        await tx.execute(
            f"""
            delete from {table} d using unnest($1::uuid[], $2::uuid[]) as e (workspace_id, contact_id)
            where d.workspace_id = e.workspace_id and d.contact_id = e.contact_id
            """,  # noqa: S608
            workspace_ids,
            contact_ids,
        )
