"""Fields for a mail that goes to nobody in particular: a test, or a preview without a contact."""

from collections.abc import Iterable, Mapping
from typing import Any

PEOPLE: Mapping[str, Mapping[str, str]] = {
    "en": {"first_name": "Sara", "last_name": "Miller"},
    "ar": {"first_name": "سارة", "last_name": "المنصوري"},
    "fa": {"first_name": "سارا", "last_name": "محمدی"},
}


def sample_fields(names: Iterable[str], email: str, language: str) -> dict[str, Any]:
    """A value for each name the content uses; an attribute shows its own name."""
    person = PEOPLE.get(language.split("-", maxsplit=1)[0].lower(), PEOPLE["en"])
    known = {**person, "email": email, "language": language}
    return {name: known.get(name, name.removeprefix("attributes.")) for name in names}


def lead_fields(lead: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The values of a contact for the names the content uses, as an audience carries them."""
    attributes = lead.get("attributes") or {}
    return {
        name: attributes.get(name.removeprefix("attributes.")) if name.startswith("attributes.") else lead.get(name)
        for name in names
    }


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`attributes.city` as `attributes` → `city`, the way content names them."""
    tree: dict[str, Any] = {"attributes": {}}
    for name, value in fields.items():
        if name.startswith("attributes."):
            tree["attributes"][name.removeprefix("attributes.")] = value
        else:
            tree[name] = value
    return tree
