"""Mappings for what other systems export."""

import pytest
from contacts.domain.import_headers import opted_out, suggest, system
from contacts.domain.import_plan import FIELDS, TAGS

EXPORTS = {
    "hubspot": (
        (
            "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Lead Status,Marketing contact status,"
            "Create Date,Associated Company,City,Country/Region,Unsubscribed from all email"
        ),
        {"email": "Email", "first_name": "First Name", "last_name": "Last Name", "external_id": "Record ID",
         "country": "Country/Region"},
    ),
    "salesforce": (
        (
            "Salutation,First Name,Last Name,Title,Account Name,Mailing Street,Mailing City,Mailing Country,Phone,"
            "Email,Contact ID,Email Opt Out"
        ),
        {"email": "Email", "external_id": "Contact ID", "country": "Mailing Country"},
    ),
    "zoho": (
        (
            "Record Id,Contact Owner,Lead Source,First Name,Last Name,Account Name,Email,Phone,Mobile,Mailing City,"
            "Mailing Country,Email Opt Out,Created Time,Modified Time,Tag"
        ),
        {"email": "Email", "external_id": "Record Id", "tags": "Tag"},
    ),
    "mailchimp": (
        (
            "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LATITUDE,"
            "LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS"
        ),
        {"email": "Email Address", "timezone": "TIMEZONE", "country": "CC", "external_id": "EUID", "tags": "TAGS"},
    ),
    "google": (
        (
            "First Name,Middle Name,Last Name,Phonetic First Name,Labels,E-mail 1 - Label,E-mail 1 - Value,"
            "Phone 1 - Label,Phone 1 - Value,Address 1 - City,Address 1 - Country,Organization Name"
        ),
        {"email": "E-mail 1 - Value", "first_name": "First Name", "tags": "Labels", "country": "Address 1 - Country"},
    ),
    "outlook": (
        (
            "First Name,Middle Name,Last Name,E-mail Address,E-mail 2 Address,Company,Business Phone,Mobile Phone,"
            "Business City,Business Country/Region,Home City,Web Page,Categories"
        ),
        {"email": "E-mail Address", "country": "Business Country/Region", "tags": "Categories"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_known_and_its_columns_find_their_fields(name: str) -> None:
    header, expected = EXPORTS[name]
    columns = header.split(",")
    assert system(columns) == name
    mapping = suggest(columns, (*FIELDS, TAGS), {}, create_attributes=True)
    by_target = {target: column for column, target in mapping.items()}
    assert {target: by_target.get(target) for target in expected} == expected
    assert len(by_target) == len(mapping), "no target twice"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("البريد الإلكتروني,الاسم الأول,اسم العائلة,المدينة,رقم الجوال,الدولة",
         ["email", "first_name", "last_name", "city", "phone", "country"]),
        ("ايميل,نام,نام خانوادگی,شهر,تلفن همراه,شرکت",
         [None, "first_name", "last_name", "city", "phone", "company"]),
        ("ایمیل,نام,نام‌خانوادگی,شهر", ["email", "first_name", "last_name", "city"]),
        ("E-MAIL,Surname,Locale,Lieblingsfarbe", ["email", "last_name", "language", "attributes.lieblingsfarbe"]),
    ],
    ids=["arabic", "persian with an arabic letter", "persian", "english"],
)  # fmt: skip
def test_header_words_are_known_whatever_their_letter_forms(header: str, expected: list[str | None]) -> None:
    columns = header.split(",")
    mapping = suggest(columns, (*FIELDS, TAGS), {}, create_attributes=True)
    found = [mapping.get(column) for column in columns]
    assert [f for f, e in zip(found, expected, strict=True) if e] == [e for e in expected if e]


def test_without_leave_to_create_only_what_is_known_is_mapped() -> None:
    columns = ["Email", "City", "Colour", "attributes.size", "Shape"]
    assert suggest(columns, (*FIELDS, TAGS), {"colour": "text", "size": "number"}, create_attributes=False) == {
        "Email": "email", "City": "city", "Colour": "attributes.colour", "attributes.size": "attributes.size",
    }  # fmt: skip


def test_our_own_export_brings_back_what_a_file_may_set() -> None:
    columns = ["id", "email", "first_name", "owner", "stage", "score", "created_at", "tags", "attributes.city",
               "consent.newsletter"]  # fmt: skip
    assert system(columns) == "barid"
    mapping = suggest(columns, (*FIELDS, TAGS), {}, create_attributes=True)
    assert mapping == {name: name for name in ("email", "first_name", "owner", "stage", "tags", "attributes.city")}


def test_columns_that_say_who_left_are_told() -> None:
    assert opted_out(["Email", "HasOptedOutOfEmail", "unsub_time"]) == ["HasOptedOutOfEmail", "unsub_time"]
