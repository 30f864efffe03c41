"""The balance of a campaign: eligible = sent + Σ failed + suppressed + uncertain + expired + cancelled + open."""

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.domain.ledger import OPEN


@dataclass(frozen=True, slots=True)
class Balance:
    """Absolute counts. `deferred` is part of `open`."""

    rows: int
    sent: int
    failed: dict[str, int]
    suppressed: int
    uncertain: int
    expired: int
    cancelled: int
    open: int
    deferred: int


def balance_of(counts: Mapping[str, int]) -> Balance:
    """From counters by `status:class`."""
    by_status: dict[str, int] = {}
    failed: dict[str, int] = {}
    for key, n in counts.items():
        status, _, klass = key.partition(":")
        by_status[status] = by_status.get(status, 0) + n
        if status == "failed" and n:
            failed[klass] = n
    return Balance(
        rows=sum(by_status.values()),
        sent=by_status.get("sent", 0),
        failed=failed,
        suppressed=by_status.get("suppressed", 0),
        uncertain=by_status.get("uncertain", 0),
        expired=by_status.get("expired", 0),
        cancelled=by_status.get("cancelled", 0),
        open=sum(by_status.get(status, 0) for status in OPEN),
        deferred=by_status.get("deferred", 0),
    )
