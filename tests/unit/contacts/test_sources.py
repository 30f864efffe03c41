"""Sources: signatures as partners make them, and mappings that find every value or say where none is."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from contacts.domain.source_mappings import ShapeChanged, SourceMapping, addresses_in, apply, look
from contacts.domain.source_signatures import Forged, Scheme, verify
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

NOW = datetime(2026, 3, 21, 10, tzinfo=UTC)
SCHEME: TypeAdapter = TypeAdapter(Scheme)
MAPPING = {
    "type": {"path": "event.kind", "map": {"paid": "order.placed"}, "otherwise": "skip"},
    "contact": {"email": {"path": "customer.email"}, "external_id": {"path": "customer.id"}},
    "id": {"path": "id"},
    "occurred_at": {"path": "at", "as": "time", "optional": True},
    "properties": {
        "total": {"path": "lines.0.total"}, "paid": {"path": "paid", "default": False}, "shop": {"const": "تهران"},
        "coupon": {"path": "/notes/a.b~1c", "optional": True}, "day": {"path": "day", "as": "date", "optional": True},
    },
}  # fmt: skip
PAYLOAD = {
    "id": 7, "event": {"kind": "paid"}, "customer": {"email": "sara@x.example", "id": 12}, "at": 1774087200,
    "lines": [{"total": "12.50"}], "paid": "yes", "notes": {"a.b/c": "nowruz"}, "day": "2026-03-20T23:00:00+01:00",
}  # fmt: skip
DEFINED = {"order.placed": {"total": "number", "paid": "boolean", "shop": "text", "coupon": "text", "day": "date"}}


def mapped(payload, **changed):
    return apply(SourceMapping.model_validate({**MAPPING, **changed}), payload, NOW, DEFINED)


def test_a_payload_becomes_an_event():
    found = mapped(PAYLOAD)
    assert (found.id, found.type, found.contact) == ("7", "order.placed", ("email", "sara@x.example"))
    assert found.occurred_at == datetime(2026, 3, 21, 10, tzinfo=UTC)
    assert found.properties == {
        "total": 12.5, "paid": True, "shop": "تهران", "coupon": "nowruz", "day": "2026-03-20T23:00:00+01:00",
    } or found.properties["day"] == "2026-03-20"  # fmt: skip
    assert mapped({**PAYLOAD, "event": {"kind": "refunded"}}) is None
    assert mapped({**PAYLOAD, "customer": {"id": 12.0}}).contact == ("external_id", "12")
    assert mapped({**PAYLOAD, "at": None}).occurred_at == NOW
    assert mapped({**PAYLOAD, "at": 1774087200000}).occurred_at == mapped(PAYLOAD).occurred_at


@pytest.mark.parametrize(
    ("changed", "path", "code"),
    [
        ({"id": None}, "id", "missing"),
        ({"id": {"value": 7}}, "id", "not_a_value"),
        ({"id": "x" * 201}, "id", "no_text"),
        ({"event": "paid"}, "event.kind", "missing"),
        ({"customer": {}}, "customer.email", "missing"),
        ({"customer": ["sara@x.example"]}, "customer.email", "missing"),
        ({"customer": {"email": "a\0@x.example"}}, "customer.email", "unstorable"),
        ({"lines": []}, "lines.0.total", "missing"),
        ({"lines": {"0": {"total": "a lot"}}}, "lines.0.total", "no_number"),
        ({"lines": [{"total": True}]}, "lines.0.total", "no_number"),
        ({"at": "tomorrow"}, "at", "no_time"),
        ({"at": 1e300}, "at", "no_time"),
        ({"at": True}, "at", "no_time"),
        ({"paid": "perhaps"}, "paid", "no_boolean"),
    ],
)
def test_a_payload_that_changed_its_shape_says_where(changed, path, code):
    with pytest.raises(ShapeChanged) as error:
        mapped({**PAYLOAD, **changed})
    assert (error.value.path, error.value.code) == (path, code)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "event", "kind", "customer", "email", "at", "lines", "0"]) | st.text(max_size=5), inner,
        max_size=4),
    max_leaves=12,
)  # fmt: skip


def result(payload):
    try:
        return mapped(payload)
    except ShapeChanged as error:
        return error


@given(json, json, json, json)
def test_any_json_is_mapped_skipped_or_refused_with_a_path(whole, id_, at, total):
    for payload in (whole, {**PAYLOAD, "id": id_, "at": at, "lines": [{"total": total}]}):
        found = result(payload)
        refused = isinstance(found, ShapeChanged) and found.path and found.detail
        assert found is None or refused or (found.id and found.contact[1] and found.occurred_at.tzinfo)
        assert len(addresses_in(payload)) <= 100
        look("a.b.0", payload)


def test_addresses_anywhere_in_a_payload_are_found():
    found = addresses_in(
        {"to": ["Sara <sara@x.example>, ali@x.example"], "a@b.example": {"note": "call bo@x.example."}}
    )
    assert found == {"sara@x.example", "ali@x.example", "a@b.example", "bo@x.example"}


def signed(scheme, body, at=NOW):
    """Headers as a partner makes them."""
    kind = scheme["scheme"]
    if kind == "token":
        bearer = "Bearer " if scheme.get("header", "Authorization") == "Authorization" else ""
        return {scheme.get("header", "Authorization").lower(): f"{bearer}{scheme['secret']}"}
    if kind == "basic":
        told = base64.b64encode(f"{scheme['username']}:{scheme['secret']}".encode()).decode()
        return {"authorization": f"Basic {told}"}
    headers, content = {}, body
    if "timestamp" in scheme:
        text = str(int(at.timestamp()))
        headers["x-time"] = text
        content = f"{text}{scheme['timestamp'].get('separator', '.')}".encode() + body
    digest = hmac.new(scheme["secret"].encode(), content, getattr(hashlib, scheme.get("algorithm", "sha256"))).digest()
    told = digest.hex() if scheme.get("encoding", "hex") == "hex" else base64.b64encode(digest).decode()
    headers[scheme.get("header", "X-Signature").lower()] = scheme.get("prefix", "") + told
    return headers


HMAC = {"scheme": "hmac", "secret": "s3cret-of-partner"}
SCHEMES = [
    HMAC,
    {**HMAC, "algorithm": "sha1", "encoding": "base64", "header": "X-Shop-Hmac"},
    {**HMAC, "algorithm": "sha512", "prefix": "sha512=", "timestamp": {"header": "X-Time", "tolerance_s": 300}},
    {**HMAC, "timestamp": {"header": "X-Time", "separator": ":"}},
    {"scheme": "basic", "username": "shop", "secret": "s3cret:with:colons"},
    {"scheme": "token", "secret": "s3cret-token"},
    {"scheme": "token", "secret": "s3cret-token", "header": "X-Token"},
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda one: f"{one['scheme']} {len(one)}")
def test_what_the_partner_signed_is_theirs_and_nothing_else(scheme):
    parsed, body = SCHEME.validate_python(scheme), '{"شهر": 1}'.encode()
    good = signed(scheme, body)
    verify(parsed, good, body, NOW)
    wrong = [{}, signed({**scheme, "secret": "another secret"}, body)]
    wrong += [{**good, name: bad} for name in good for bad in ("", "é", "Basic ", "sha512=zz", good[name][:-2])]
    for headers in wrong:
        with pytest.raises(Forged):
            verify(parsed, headers, body, NOW)
    if scheme["scheme"] == "hmac":
        with pytest.raises(Forged):
            verify(parsed, good, body + b" ", NOW)
    if "timestamp" in scheme:
        for seconds in (-301, 301):
            at = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)
            with pytest.raises(Forged):
                verify(parsed, signed(scheme, body, at), body, NOW)
        milliseconds = {**good, "x-time": str(int(NOW.timestamp() * 1000))}
        with pytest.raises(Forged, match="another signature"):
            verify(parsed, milliseconds, body, NOW)
