"""What can be concluded about a contact from what it has, without asking anybody; and what each value comes from.

A value that somebody gave is never touched: only an empty field is filled, and only what was concluded is concluded
anew, or taken away when nothing speaks for it any more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contacts.domain import cities, mailboxes, phones

RULES = 1  # another number: everybody is looked at anew
FIELDS = ("country", "company", "city_normalised", "flags")
TOLD = ("country", "company")  # what other services know of

_SOURCES = {"country": "phone", "company": "email", "city_normalised": "city", "flags": "email"}
_NAMES = {
    "country": "prefix of the number",
    "company": "domain of the address",
    "city_normalised": "table of spellings",
    "flags": "tables of mailboxes",
}


def enriched(contact: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """What differs from what is stored: some of FIELDS, with `provenance` whole. Empty: there is nothing to do."""
    address, phone, city = contact["email_normalised"], contact["phone_normalised"], contact["city"]
    concluded = {
        "country": phones.country_of(phone) if phone else None,
        "company": mailboxes.company_of(address.rpartition("@")[2]),
        "city_normalised": cities.one_form(city) if city else None,
        "flags": mailboxes.flags(address),
    }
    before = contact["provenance"]
    provenance, changed = dict(before), {}
    for name, value in concluded.items():
        given = name in TOLD and contact[name] is not None and name not in before
        if given or value == contact[name]:
            continue
        changed[name] = value
        provenance.pop(name, None)
        if value:
            provenance[name] = {
                "source": _SOURCES[name], "rule": f"{_NAMES[name]}, {RULES}", "at": at.isoformat(timespec="seconds"),
            }  # fmt: skip
    return {**changed, "provenance": provenance} if changed else {}
