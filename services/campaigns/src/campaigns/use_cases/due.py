"""Scheduled campaigns whose time has come."""

from uuid import UUID

import structlog
from common.db.pool import TRANSIENT, Connection, Database
from common.errors import BaridError, Unavailable

from campaigns.db import campaigns as rows
from campaigns.use_cases import campaigns, starting
from campaigns.use_cases.alignment import Installation

_log = structlog.get_logger("barid.campaigns")
TOO_LATE = "too_late"
_UNSAID = Installation()


async def start_due(db: Database, lateness_limit_s: float, installation: Installation = _UNSAID) -> None:
    """Start each; one found too late is failed instead: a restored clone must not send last month's mail.

    One transaction per campaign. One that cannot be decided now is passed over, stands in nobody's way, and is
    tried again the next time, until it is too late.
    """
    passed_over: list[UUID] = []
    while True:
        claimed: list[UUID] = []
        try:
            async with db.transaction() as tx:
                if not await _start_one(tx, lateness_limit_s, installation, passed_over, claimed):
                    return
        except TRANSIENT:
            raise
        except Exception as error:
            if not claimed:
                raise
            passed_over += claimed
            _log.warning("scheduled campaign passed over", campaign_id=str(claimed[0]), exc_info=error)


async def _start_one(
    tx: Connection, lateness_limit_s: float, installation: Installation, passed_over: list[UUID], claimed: list[UUID]
) -> bool:
    due = await rows.claim_due(tx, passed_over)
    if due is None:
        return False
    workspace_id, campaign_id = due["workspace_id"], due["id"]
    claimed.append(campaign_id)
    late_s = (due["now"] - due["scheduled_at"]).total_seconds()
    if late_s > lateness_limit_s:
        detail = f"due at {due['scheduled_at'].isoformat()}, found {late_s:.0f} s later"
        await rows.end_unstarted(tx, workspace_id, campaign_id, "failed", TOO_LATE, detail)
        return True
    row = await campaigns.get(tx, workspace_id, campaign_id, lock=True)
    try:
        await starting.start(tx, row, due["now"], installation)
    except Unavailable:
        raise
    except BaridError as error:
        await rows.end_unstarted(tx, workspace_id, campaign_id, "failed", error.code, error.message)
        _log.warning("scheduled campaign refused", campaign_id=str(campaign_id), code=error.code)
    return True
