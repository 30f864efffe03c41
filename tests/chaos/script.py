"""What the sink does to whom. A rule is chosen by seed and identity, so the bench knows whom it meets beforehand."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Phase = Literal["greet", "mail", "rcpt", "data", "body"]
Deed = Literal["reply", "drop", "reset", "hang", "drip"]


@dataclass(frozen=True)
class Rule:
    """One fault. `body` is the moment after the final dot. At `greet` no recipient is known, and at `mail` only where
    the client pipelines: else they go by the number of the connection or dialogue.

    `share`: of those. `attempts`: only the first so many
    of a recipient. `first_s`: only so long after a recipient was first seen (greylisting). `until_s`: only
    so long after the first dialogue. `seconds`: how long
    `hang` and `drip` last, 0 for ever; `drip` gives its reply byte by byte, `hang` and `reply` give it late.
    `takes`: the message is kept, whatever the client is told or not told.
    """

    name: str
    phase: Phase
    do: Deed
    reply: str = ""
    share: float = 1.0
    domains: tuple[str, ...] = ()
    attempts: int | None = None
    first_s: float | None = None
    until_s: float | None = None
    seconds: float = 0.0
    takes: bool = False

    def meets(self, seed: int, identity: str) -> bool:
        """Whether this recipient (or the connection, the dialogue of this number) is among the chosen."""
        if self.domains and identity.rpartition("@")[2] not in self.domains:
            return False
        digest = hashlib.blake2b(f"{seed}/{self.name}/{identity}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64

    def chosen(self, seed: int, recipients: Iterable[str]) -> set[str]:
        """Those of the recipients that it meets."""
        return {recipient for recipient in recipients if self.meets(seed, recipient)}

    def as_json(self) -> dict[str, Any]:
        """For the sink."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> "Rule":
        """From the bench."""
        return cls(**{**found, "domains": tuple(found["domains"])})
