"""What becomes of two contacts that are one person, and what is left of a merge when it is taken back."""

from collections.abc import Mapping
from typing import Any

from contacts.domain.values import STAGES

FILLED = ("first_name", "last_name", "language", "timezone", "country", "external_id", "company", "city", "owner")
PHONE = ("phone", "phone_normalised")

Values = Mapping[str, Any]


def combined(kept: Values, gone: Values) -> dict[str, Any]:
    """The kept contact's values, filled up with the other's; individual tracking only where both agreed to it."""
    found = {name: kept[name] if kept[name] is not None else gone[name] for name in FILLED}
    phone = kept if kept["phone"] is not None else gone
    filled = {name for name in (*FILLED, *PHONE) if kept[name] is None and gone[name] is not None}
    provenance = {name: why for name, why in gone["provenance"].items() if name in filled}
    return {
        **found,
        **{name: phone[name] for name in PHONE},
        "attributes": {**gone["attributes"], **kept["attributes"]},
        "tags": sorted({*kept["tags"], *gone["tags"]}),
        "tracking": kept["tracking"] if kept["tracking"] == gone["tracking"] else "none",
        "stage": max(kept["stage"], gone["stage"], key=_stage),
        "provenance": {**kept["provenance"], **provenance},
        "flags": kept["flags"],
    }


def restored(before: Values, merged: Values, now: Values) -> dict[str, Any]:
    """The kept contact as it was, except where somebody changed it since the merge."""
    found = {
        name: before[name] if now[name] == merged[name] else now[name]
        for name in (*FILLED, *PHONE, "tracking", "stage")
    }
    attributes = dict(now["attributes"])
    for name, value in merged["attributes"].items():
        if attributes.get(name) == value and before["attributes"].get(name) != value:
            attributes.pop(name)
            if name in before["attributes"]:
                attributes[name] = before["attributes"][name]
    added = set(merged["tags"]) - set(before["tags"])
    came = merged["provenance"].keys() - before["provenance"].keys()
    provenance = {name: why for name, why in now["provenance"].items() if name not in came or found[name] is not None}
    return {
        **found,
        "attributes": attributes,
        "tags": sorted(set(now["tags"]) - added),
        "provenance": provenance,
        "flags": now["flags"],
    }


def consents_after(kept: Mapping[str, str], gone: Mapping[str, str], *, left_all: bool) -> dict[str, str]:
    """Purpose → where the kept contact stands after the merge, if that is elsewhere than now.

    Who left under either address has left. Otherwise what they said as the kept contact stands, and what they said as
    the other counts where the kept one said nothing. `left_all`: under the other address they left everything.
    """
    changed = {}
    for purpose in sorted({*kept, *gone}):
        now, other = kept.get(purpose, "none"), gone.get(purpose, "none")
        after = other if now == "none" or other == "unsubscribed" else now
        if left_all and after != "none":
            after = "unsubscribed"
        if after != now:
            changed[purpose] = after
    return changed


def consents_restored(before: Mapping[str, str], merged: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Purpose → where the kept contact stands again; what was said since the merge stands."""
    return {
        purpose: before.get(purpose, "none")
        for purpose, status in merged.items()
        if now.get(purpose, "none") == status and before.get(purpose, "none") != status
    }


def consents_given_back(gone: Mapping[str, str], merged: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Purpose → where the other contact stands again, if not as before: the person may have left since the merge."""
    left = {purpose for purpose, status in now.items() if status == "unsubscribed"}
    left -= {purpose for purpose, status in merged.items() if status == "unsubscribed"}
    return {purpose: "unsubscribed" for purpose, status in gone.items() if purpose in left and status != "unsubscribed"}


def _stage(name: str) -> int:
    return STAGES.index(name) if name in STAGES else -1
