"""What is concluded about contacts from what they have."""

from datetime import UTC, datetime
from typing import Any

import pytest
from contacts.domain.cities import one_form
from contacts.domain.enrichment import enriched
from contacts.domain.mailboxes import company_of, flags
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def someone(**values: Any) -> dict[str, Any]:
    empty = {"phone_normalised": None, "country": None, "company": None, "city": None, "city_normalised": None}
    return {"email_normalised": "sara@gmail.com", "provenance": {}, "flags": [], **empty, **values}


@pytest.mark.parametrize(
    ("address", "company", "known"),
    [
        ("sara@digikala.com", "Digikala", []),
        ("info+web@mail.example-tools.co.uk", "Example Tools", ["role"]),
        ("a@sub.xn--mgba3a4f16a.com", "ایران", []),
        ("no-reply@yahoo.co.uk", None, ["freemail", "role"]),
        ("x@mailinator.com", None, ["disposable"]),
        ("x@deep.in.yopmail.com", None, ["disposable"]),
        ("x@co.uk", None, []),
    ],
    ids=str,
)
def test_a_company_is_read_from_a_domain_but_not_from_a_providers(address, company, known):
    assert (company_of(address.rpartition("@")[2]), flags(address)) == (company, known)


@pytest.mark.parametrize(
    ("spellings", "city"),
    [
        (("تهران", "طهران", "TEHRAN", " Téhéran ", "Tehran, Iran"), "Tehran"),
        (("الرياض", "الریاض", "Ar-Riyadh", "ريــاض"), "Riyadh"),
        (("المدينة المنورة", "madinah"), "Medina"),
        (("İstanbul", "istanbul", "استانبول"), "Istanbul"),
        (("Nowhere", "", "،", "عمان"), None),
    ],
    ids=str,
)
def test_a_citys_spellings_have_one_form(spellings, city):
    assert {one_form(text) for text in spellings} == {city}


_ADDRESSES = st.sampled_from(["a@gmail.com", "info@acme.example", "b@shop.acme.de", "c@mailinator.com"])
_PHONES = st.sampled_from([None, "+989123456789", "+442079460018", "+4930123456", "+80012345678"])
_CITIES = st.sampled_from([None, "تهران", "Köln", "nowhere"])
_GIVEN = st.fixed_dictionaries({}, optional={"country": st.sampled_from(["IR", "DE"]), "company": st.just("Acme")})
_INPUTS = st.fixed_dictionaries({"email_normalised": _ADDRESSES, "phone_normalised": _PHONES, "city": _CITIES})


@given(_GIVEN, st.lists(_INPUTS, min_size=1, max_size=5))
def test_given_values_stand_and_the_rest_is_what_the_latest_state_says(given_values, states):
    contact = someone(**given_values)
    for state in states:
        contact |= state
        contact |= enriched(contact, NOW)
        assert enriched(contact, NOW) == {}, "doing it again changes nothing"
        assert {name: contact[name] for name in given_values} == given_values
        assert given_values.keys() & contact["provenance"].keys() == set()
        filled = {name for name in ("country", "company", "city_normalised", "flags") if contact[name]}
        assert contact["provenance"].keys() == filled - given_values.keys()
    fresh = someone(**given_values, **states[-1])
    assert contact == fresh | enriched(fresh, NOW), "nothing stays of what spoke for it before"
