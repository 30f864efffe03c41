"""What a draft may be, how patches meet it, and the fields of mails to nobody."""

from typing import Any

import pytest
from campaigns.domain.addresses import valid_address
from campaigns.domain.drafts import Draft, Variants, before_patch
from campaigns.domain.samples import lead_fields, nested, sample_fields
from campaigns.errors import InvalidEmail
from common.web.etags import merge_patch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


def patched(draft: Draft, patch: dict[str, Any]) -> Draft:
    return Draft.model_validate(merge_patch(before_patch(draft, patch), patch))


@pytest.mark.parametrize("breaking", ["\r", "\n", "\x00", "\x85", "\u2028", "\u2029", "\x1b", "\x7f"])
def test_header_text_with_a_break_or_control_character_is_refused(breaking: str) -> None:
    for field in ({"subject": f"a{breaking}b"}, {"preheader": f"a{breaking}b"}):
        with pytest.raises(ValidationError):
            Draft.model_validate({"name": "x", "content": field})
    with pytest.raises(ValidationError):
        Draft.model_validate({"name": f"a{breaking}b"})
    with pytest.raises(InvalidEmail):
        valid_address(f"a@example.org{breaking}x", "email")


@given(st.text(min_size=1, max_size=50))
def test_address_that_passes_is_one_line_with_one_at(text: str) -> None:
    try:
        address = valid_address(text, "email")
    except InvalidEmail:
        return
    assert address.isprintable()
    assert address.count("@") == 1


@pytest.mark.parametrize("address", ["a@example.org", "خبر@نامه.ایران", "A.B+c@Example.ORG", "a@localhost.test"])
def test_addresses_people_have_pass(address: str) -> None:
    assert "@" in valid_address(address, "email")


def test_default_variant_by_id_or_language_and_first_by_default() -> None:
    variants = [{"language": "en"}, {"id": "x", "language": "fa-IR"}]
    for default, chosen in (("x", "x"), ("fa-IR", "x"), ("", "en"), ("en", "en")):
        assert Variants.model_validate({"default": default, "variants": variants}).default == chosen
    with pytest.raises(ValidationError, match="default names no variant"):
        Variants.model_validate({"default": "de", "variants": variants})
    with pytest.raises(ValidationError, match="same id"):
        Variants.model_validate({"default": "en", "variants": [{"language": "en"}, {"language": "en"}]})


def test_draft_variants_have_the_default_first() -> None:
    content = {"default": "fa", "variants": [{"id": "en"}, {"id": "fa", "language": "fa"}]}
    assert [one.id for one in Draft.model_validate({"name": "x", "content": content}).variants()] == ["fa", "en"]
    assert [one.id for one in Draft.model_validate({"name": "x", "content": {"language": "ar"}}).variants()] == ["ar"]
    assert Draft(name="x").variants() == []


def test_audience_names_each_id_once_and_lacks_people_without_segment_or_list() -> None:
    one = "0190a0f0-0000-7000-8000-000000000001"
    draft = Draft.model_validate({"name": "x", "audience": {"segment_ids": [one, one]}})
    assert len(draft.audience.segment_ids) == 1
    assert not draft.audience.empty
    assert Draft.model_validate({"name": "x", "audience": {"exclude_segment_ids": [one]}}).audience.empty


def test_patch_that_omits_changes_nothing_and_null_takes_away() -> None:
    draft = Draft.model_validate({"name": "x", "send_until": "2030-01-01T00:00:00Z", "content": {"subject": "a"}})
    assert patched(draft, {}) == draft
    assert patched(draft, {"send_until": None}).send_until is None
    assert patched(draft, {"content": None}).content is None
    with pytest.raises(ValidationError):
        patched(draft, {"name": None})


@given(st.sampled_from(["html", "mjml", "text"]), st.sampled_from(["html", "mjml", "text"]))
def test_patch_with_another_source_replaces_what_it_excludes(first: str, second: str) -> None:
    draft = Draft.model_validate({"name": "x", "content": {"subject": "s", first: "one"}})
    content = patched(draft, {"content": {second: "two"}}).content
    assert content is not None
    assert getattr(content, second) == "two"
    assert {first, second} != {"html", "mjml"} or getattr(content, first) is None


def test_fields_of_samples_and_leads_are_named_as_an_audience_names_them() -> None:
    names = ["first_name", "email", "attributes.city"]
    assert sample_fields(names, "a@example.org", "fa-IR") == {
        "first_name": "سارا", "email": "a@example.org", "attributes.city": "city",
    }  # fmt: skip
    lead = {"first_name": None, "email": "l@example.org", "attributes": {"city": "Tehran"}}
    found = lead_fields(lead, names)
    assert found == {"first_name": None, "email": "l@example.org", "attributes.city": "Tehran"}
    assert nested(found) == {"first_name": None, "email": "l@example.org", "attributes": {"city": "Tehran"}}
