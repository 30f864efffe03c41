"""DMARC records and organizational domains (RFC 9989): the DNS tree walk takes the place of the public suffix list."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MOST_LABELS = 8  # §4.10: longer names are cut to seven after the first question, so that nobody asks more than eight
# Of RFC 7489; receivers ignore them now.
REMOVED = ("pct", "rf", "ri")
_POLICIES = frozenset({"none", "quarantine", "reject"})
_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)")


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """The tags of one record, names in lower case."""

    tags: Mapping[str, str]

    @property
    def faulty(self) -> list[str]:
        """Policy tags with no policy in them, or a lacking `p`: the record counts as p=none (§4.10.1)."""
        return [
            tag
            for tag in ("p", "sp", "np")
            if (tag == "p" or tag in self.tags) and self.tags.get(tag, "").lower() not in _POLICIES
        ]

    @property
    def testing(self) -> bool:
        """Whether its policies are asked to apply one level lower (`t=y`, §4.7)."""
        return self.tags.get("t", "n").lower() == "y"

    def applied(self, *, below: bool = False, exists: bool = True) -> "Applied":
        """The policy for the domain of the record, or for one `below` it, which is in the DNS or not (§4.10.1)."""
        if self.faulty:
            return Applied("none", "p")
        tags = ("p",) if not below else ("sp", "p") if exists else ("np", "sp", "p")
        tag = next(one for one in tags if one in self.tags)
        return Applied(self.tags[tag].lower(), tag)

    @property
    def psd(self) -> str:
        """Whether this is a public suffix: y, n, or u for not said."""
        return self.tags.get("psd", "u").lower()

    def strict(self, tag: Literal["adkim", "aspf"]) -> bool:
        """Whether identifiers must be the same domain, not only of the same organization."""
        return self.tags.get(tag, "r").lower() == "s"


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy, and the tag that says it."""

    policy: str
    tag: str

    @property
    def under_test(self) -> str:
        """What receivers are asked to do instead under `t=y`."""
        return "quarantine" if self.policy == "reject" else "none"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the tree walk finds for a domain: the record that applies, where it stands, and who the organization is."""

    record: DmarcRecord | None
    at: str | None
    organization: str


def parse(text: str) -> DmarcRecord | None:
    """A record; None where this is not one (§4.7: `v=DMARC1` comes first, unknown tags are kept and mean nothing)."""
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return DmarcRecord(tags)


def only_record(texts: Sequence[str]) -> DmarcRecord | None:
    """The record among TXT records; where there are two, there is none (§4.10)."""
    found = [record for record in map(parse, texts) if record is not None]
    return found[0] if len(found) == 1 else None


def walk(domain: str) -> list[str]:
    """The names that the tree walk asks for a record, `_dmarc.` before each: the domain, then upwards to the top."""
    labels = domain.split(".")
    start = 1 if len(labels) < MOST_LABELS else len(labels) - MOST_LABELS + 1
    return [domain, *(".".join(labels[at:]) for at in range(start, len(labels)))]


def discover(domain: str, records: Mapping[str, DmarcRecord | None]) -> Discovery:
    """Policy and organization of a domain, from what stands at the names of its walk (§4.10.1, §4.10.2)."""
    organization = _organization(domain, records)
    record = records.get(domain)
    if record is not None:
        return Discovery(record, domain, organization)
    record = records.get(organization)
    if record is not None:
        return Discovery(record, organization, organization)
    suffix = organization.partition(".")[2]
    record = records.get(suffix) if suffix else None
    if record is not None and record.psd == "y":
        return Discovery(record, suffix, organization)
    return Discovery(None, None, organization)


def aligned(sender: Discovery, sender_domain: str, other: Discovery, other_domain: str, *, strict: bool) -> bool:
    """Whether an authenticated domain (DKIM's d=, or MAIL FROM's) stands for the sender's (§4.4)."""
    if sender_domain == other_domain:
        return True
    return not strict and sender.organization == other.organization


def _organization(domain: str, records: Mapping[str, DmarcRecord | None]) -> str:
    labels = domain.split(".")
    found = domain
    for name in walk(domain):
        record = records.get(name)
        if record is None:
            continue
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            return ".".join(labels[-len(name.split(".")) - 1 :])
        found = name
    return found
