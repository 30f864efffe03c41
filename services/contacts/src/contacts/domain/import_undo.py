"""Taking back what an import changed of a contact: value by value, unless somebody changed it since."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PLAIN = ("first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "phone_normalised",
         "company", "city", "owner", "stage")  # fmt: skip


class Kept(NamedTuple):
    """A value that is left as it is now, and why."""

    field: str
    reason: str
    value: Any


def restore(
    before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any], *, untouched: bool
) -> tuple[dict[str, Any], list[Kept]]:
    """What to write to a contact, only what differs from `now`; and what stays. Of attributes, the names of those
    that go back: their values, numbers above all, are as the database keeps them.

    `untouched`: nobody wrote to the contact since the import. Without it nobody is tracked again: they may have asked
    for none meanwhile, which they had already.
    """
    values: dict[str, Any] = {}
    kept: list[Kept] = []
    for name in after.keys() & set(PLAIN):  # what was kept by an older release has not all of them
        if before[name] != after[name] and now[name] != before[name]:
            if now[name] == after[name]:
                values[name] = before[name]
            elif name != "phone_normalised":  # told with the phone
                kept.append(Kept(name, "changed", now[name]))
    back, stay = _attributes(before["attributes"], after["attributes"], now["attributes"])
    kept += stay
    if back:
        values["attributes"] = back
    added = set(after["tags"]) - set(before["tags"])
    if added & set(now["tags"]):
        values["tags"] = before["tags"] if now["tags"] == after["tags"] else [t for t in now["tags"] if t not in added]
    if before["tracking"] != after["tracking"] and now["tracking"] == after["tracking"]:
        if untouched:
            values["tracking"] = before["tracking"]
        else:
            kept.append(Kept("tracking", "changed", now["tracking"]))
    return values, kept


def _attributes(
    before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[list[str], list[Kept]]:
    back: list[str] = []
    kept: list[Kept] = []
    for name in sorted(before.keys() | after.keys()):
        was, made, is_now = before.get(name), after.get(name), now.get(name)
        if was in (made, is_now):
            continue
        if is_now == made:
            back.append(name)
        else:
            kept.append(Kept(f"attributes.{name}", "changed", is_now))
    return back, kept


def reverse_consent(
    before: str | None, after: str, now: str | None, *, spoken_since: bool, suppressed: bool, expired: bool = False
) -> tuple[str | None, Kept | None]:
    """The status that a consent goes back to (None: as it is), and why it does not.

    An import that is taken back proves nothing either: nobody who left, or whose address is blocked, is made
    subscribed by it; nor whose consent would have ended by now (`expired`).
    """
    if now != after or spoken_since:
        return None, Kept("consent", "changed", now)
    back = "none" if expired else before or "none"
    if after == "unsubscribed" and suppressed and back != "unsubscribed":
        return None, Kept("consent", "suppressed", now)
    return back, None
