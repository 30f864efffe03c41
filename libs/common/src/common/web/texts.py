"""Text that nothing here can keep: NUL (PostgreSQL) and lone surrogates (UTF-8), refused wherever in a body it is."""

import json
import re
from collections.abc import Iterator
from typing import Any

from common.errors import Invalid

# In JSON both can only be written as escapes, so that nearly every body is let through by one search.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MOST = 100


class UnstorableText(Invalid):
    """The body has a character that cannot be stored: NUL, or half of a surrogate pair."""

    remedy = "Take the character out of what `errors` names"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__()
        self.errors = errors


def require_storable(body: bytes, *, at: str = "") -> None:
    """Raises UnstorableText for JSON that has such text. What is no JSON is somebody else's to refuse.

    `at`: the pointer to this JSON, when it is a part of the body.
    """
    if _SUSPECT.search(body) is None:
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    errors = [
        {"where": where, "code": "unstorable_text", "detail": f"has U+{ord(bad):04X}, which cannot be stored"}
        for where, bad in _unstorable(value, at)
    ]
    if errors:
        raise UnstorableText(errors[:_MOST])


def _unstorable(value: Any, at: str) -> Iterator[tuple[str, str]]:
    # Not recursive: a body may nest deeper than calls may.
    rest = [(at, value)]
    while rest:
        where, one = rest.pop()
        if isinstance(one, str) and (found := _UNSTORABLE.search(one)):
            yield where, found[0]
        elif isinstance(one, list):
            rest += [(f"{where}/{n}", item) for n, item in enumerate(one)]
        elif isinstance(one, dict):
            for name, item in one.items():
                shown = _UNSTORABLE.sub("\ufffd", name)
                place = f"{where}/{shown.replace('~', '~0').replace('/', '~1')}"
                rest += [(place, name), (place, item)] if shown != name else [(place, item)]
