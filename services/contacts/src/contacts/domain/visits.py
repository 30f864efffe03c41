"""What pages tell of a visit, reduced to what is kept: no query strings, no addresses, no browsers' names."""

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from contacts.domain import own_events

HitType = Literal["session.started", "page.viewed", "page.read", "file.downloaded"]
TEXT = 500
MOST_SECONDS = 24 * 3600

_ADDRESSES = ("url", "referrer")
_NAMED = re.compile(
    r"[A-Za-z0-9._-]*(?:bot|crawl(?:er)?|spider|slurp|preview|headless|lighthouse)[A-Za-z0-9._-]*", re.I
)


def bot(agent: str) -> str | None:
    """The name under which a machine says that it is one."""
    found = _NAMED.search(agent[:TEXT])
    return found[0][:100] if found else None


def page_address(text: str) -> str:
    """A page's address without what may hold names and secrets: user, query and fragment; empty if it is none."""
    try:
        parts = urlsplit(text.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path or '/'}"[:TEXT]


def kept(kind: HitType, given: Mapping[str, Any], site: str, machine: str | None) -> dict[str, Any]:
    """The properties of an event that are kept of what a page told."""
    found: dict[str, Any] = {"site": site}
    for name in own_events.DEFINED[kind]:
        value = given.get(name)
        if name == "seconds":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            found[name] = min(max(round(value), 0), MOST_SECONDS) if number else 0  # type: ignore[arg-type]
        elif isinstance(value, str) and (text := page_address(value) if name in _ADDRESSES else _clean(value)):
            found[name] = text
    if "url" in found:
        found["path"] = urlsplit(found["url"]).path
    if machine:
        found["bot"] = machine
    return found


def _clean(text: str) -> str:
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(one for one in shown if one >= " " and one != "\x7f").strip()[:TEXT]
