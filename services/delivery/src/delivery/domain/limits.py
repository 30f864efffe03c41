"""How much a route may carry to each mailbox provider: what a person sets, and where to begin."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from delivery.domain.providers import PROVIDERS

# All providers without a limit of their own, together.
REST = "*"


@dataclass(frozen=True, slots=True)
class Limit:
    """None: no limit. All mailers together keep `connections` and `per_second`."""

    connections: int | None = None
    messages_per_connection: int | None = None
    per_second: float | None = None

    @property
    def is_shared(self) -> bool:
        """Whether mailers must agree on it."""
        return self.connections is not None or self.per_second is not None


NONE = Limit()
Limits = Mapping[str, Limit]

# A careful beginning for a sender that the providers do not know; a person raises what the replies allow. Google's
# guidance is 50 messages a connection; others' are not published.
BEGIN: Limits = {
    "gmail": Limit(10, 50, 20),
    "microsoft": Limit(5, 50, 10),
    "yahoo": Limit(5, 20, 10),
    "apple": Limit(5, 20, 10),
}


def bucket_of(limits: Limits, provider: str) -> str:
    """Whose limit a message to this provider counts against: its own, or that of the rest."""
    return provider if provider in limits else REST


def limit_of(limits: Limits, bucket: str) -> Limit:
    """The limit of a bucket."""
    return limits.get(bucket, NONE)


def to_json(limits: Limits) -> dict[str, Any]:
    """As it is stored and shown."""
    return {
        name: {key: value for key, value in asdict(limit).items() if value is not None}
        for name, limit in limits.items()
    }


def from_text(text: str) -> Limits:
    """From a setting. Raises ValueError."""
    stored = json.loads(text) if text else {}
    if not isinstance(stored, dict) or not all(isinstance(values, dict) for values in stored.values()):
        raise ValueError('limits look like {"gmail": {"per_second": 20}}')
    return from_json(stored)


def from_json(stored: Mapping[str, Mapping[str, Any]]) -> Limits:
    """From what `to_json` made, or a setting. Raises ValueError, naming what is wrong."""
    found = {}
    for name, values in stored.items():
        if name != REST and name not in PROVIDERS:
            raise ValueError(f"{name!r} is no provider: they are {', '.join(PROVIDERS)} and {REST} for the rest")
        if unknown := set(values) - {"connections", "messages_per_connection", "per_second"}:
            raise ValueError(f"{name}: {min(unknown)!r} is no limit")
        for key, value in values.items():
            whole = isinstance(value, int) or key == "per_second"
            if isinstance(value, bool) or not isinstance(value, int | float) or not whole or not 0 < value < 10**6:
                raise ValueError(f"{name}.{key} must be a number above 0")
        found[name] = Limit(**values)
    return found
