"""`erasure.done`: tick the service off the privacy request."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import ErasureDoneV1
from common.db.pool import Connection

from contacts.db import privacy
from contacts.use_cases.erasure import SERVICES


async def tick_off(tx: Connection, events: Sequence[Received[ErasureDoneV1]]) -> None:
    """The request is complete when every service has erased."""
    await privacy.done(
        tx,
        [event.workspace_id for event in events],
        [event.data.request_id for event in events],
        [event.data.service for event in events],
        [event.time for event in events],
        len(SERVICES),
    )
