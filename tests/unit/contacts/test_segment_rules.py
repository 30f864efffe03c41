"""Rules of segments: what is accepted, and what the errors say about the rest."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from common.contracts.addresses import normalise_address
from common.ids import purpose_id
from contacts.domain.segment_binding import (
    Attribute,
    Compare,
    Deny,
    Every,
    Happened,
    OnList,
    Some,
    anniversaries,
    bind,
    bucket_of,
)
from contacts.domain.segment_rules import MAX_CONDITIONS, MAX_DEPTH, parse_rule, referenced_lists
from contacts.errors import InvalidRule

WORKSPACE = UUID(int=7)
PARTS = [47, 97, 83, 91, 33]
ATTRIBUTES = {
    "city": Attribute("city", "text", indexed=True),
    "age": Attribute("age", "number"),
    "vip": Attribute("vip", "boolean"),
    "born": Attribute("born", "date"),
}


def bound(document):
    return bind(parse_rule(document), ATTRIBUTES, WORKSPACE)


def refused(document) -> InvalidRule:
    with pytest.raises(InvalidRule) as raised:
        bound(document)
    return raised.value


def test_rule_of_the_api_description_binds():
    rule = bound(
        {
            "all": [
                {"field": "attributes.city", "op": "eq", "value": "تهران"},
                {"any": [{"field": "tags", "op": "contains", "value": "vip"}]},
                {"not": {"field": "score", "op": "lt", "value": 10}},
                {"event": "email.opened", "op": "at_least", "value": 2, "within": "30d"},
            ]
        }
    )
    assert rule == Every(
        (
            Compare("indexed", "city", "text", "eq", "تهران"),
            Some((Compare("tags", "tags", "tags", "contains", "vip"),)),
            Deny(Compare("column", "score", "number", "lt", 10.0)),
            Happened("email.opened", 2, timedelta(days=30), None, False),
        )
    )


def test_negative_operators_are_denials():
    assert bound({"field": "language", "op": "not_in", "value": ["ar"]}) == Deny(
        Compare("column", "language", "text", "in", ["ar"])
    )
    some_list = uuid4()
    assert bound({"list": str(some_list), "op": "not_member"}) == Deny(OnList(some_list))
    assert referenced_lists(parse_rule({"not": {"any": [{"list": str(some_list)}]}})) == {some_list}


def test_values_get_their_type_and_stored_form():
    assert bound({"field": "email", "op": "eq", "value": " Ali@شرکت.Example "}).value == normalise_address(
        "ali@شرکت.example"
    )
    assert bound({"field": "country", "op": "in", "value": ["ir"]}).value == ["IR"]
    assert bound({"field": "attributes.born", "op": "gte", "value": "1990-01-31"}).value == date(1990, 1, 31)
    moment = bound({"field": "created_at", "op": "lt", "value": "2026-03-01T00:00:00+03:30"}).value
    assert moment == datetime(2026, 2, 28, 20, 30, tzinfo=UTC)
    consent = bound({"field": "consent", "op": "eq", "value": "subscribed"})
    assert consent.purpose == purpose_id(WORKSPACE, "newsletter")
    assert bound({"field": "consent", "op": "eq", "value": "none", "purpose": "news2"}).purpose != consent.purpose


def test_event_counts():
    opened = {"event": "email.opened"}
    assert bound({**opened, "op": "never"}) == Deny(Happened("email.opened", 1, None, None, False))
    assert bound({**opened, "op": "at_least", "value": 0}) == Every(())
    assert bound({**opened, "op": "at_most", "value": 2}) == Deny(Happened("email.opened", 3, None, None, False))
    exactly = bound({**opened, "op": "exactly", "value": 2, "machine": True})
    assert exactly == Every(
        (Happened("email.opened", 2, None, None, True), Deny(Happened("email.opened", 3, None, None, True)))
    )


@pytest.mark.parametrize(
    ("document", "pointer", "says"),
    [
        ({"field": "shoe_size", "op": "eq", "value": 1}, "/rule/field", "shoe_size"),
        ({"field": "attributes.shoe", "op": "eq", "value": 1}, "/rule/field", "attributes.shoe"),
        ({"field": "attributes", "op": "eq", "value": 1}, "/rule/field", "attributes"),
        ({"all": [{"field": "score", "op": "like", "value": 1}]}, "/rule/all/0/op", "like"),
        ({"any": [{"not": {"field": "score", "op": "gt", "value": "1"}}]}, "/rule/any/0/not/value", "a number"),
        ({"field": "score", "op": "eq", "value": True}, "/rule/value", "a number"),
        ({"field": "score", "op": "eq"}, "/rule/value", "one value"),
        ({"field": "score", "op": "eq", "value": 1e300}, "/rule/value", "a number"),
        ({"field": "score", "op": "eq", "value": float("nan")}, "/rule/value", "a number"),
        ({"field": "attributes.vip", "op": "eq", "value": "yes"}, "/rule/value", "true or false"),
        ({"field": "attributes.born", "op": "eq", "value": "31.1.1990"}, "/rule/value", "a date"),
        ({"field": "attributes.born", "op": "eq", "value": "9999-12-31"}, "/rule/value", "a date"),
        ({"field": "created_at", "op": "within", "value": "1y"}, "/rule/value", "span"),
        ({"field": "language", "op": "in", "value": "ar"}, "/rule/value", "a list"),
        ({"field": "language", "op": "in", "value": ["ar", 1]}, "/rule/value/1", "a text"),
        ({"field": "language", "op": "in", "value": []}, "/rule/value", "a list"),
        ({"field": "language", "op": "in", "value": {"x": 1}}, "/rule/value", "a list of such"),
        ({"field": "language", "op": "in", "value": [["x"]]}, "/rule/value", "a list of such"),
        ({"field": "language", "op": "eq", "value": ""}, "/rule/value", "empty"),
        ({"field": "language", "op": "eq", "value": "a\x00b"}, "/rule/value", "NUL"),
        ({"field": "language", "op": "eq", "value": "a" * 401}, "/rule/value", "400"),
        ({"field": "language", "op": "exists", "value": "a"}, "/rule/value", "no value"),
        ({"field": "language", "op": "eq", "value": "a", "purpose": "x"}, "/rule/purpose", "consent"),
        ({"field": "consent", "op": "eq", "value": "yes"}, "/rule/value", "subscribed"),
        ({"field": "language", "op": "eq", "value": "a", "valeu": "x"}, "/rule/valeu", "valeu"),
        ({"field": "language", "value": "a"}, "/rule/op", "missing"),
        ({"all": [{}]}, "/rule/all/0", "none of"),
        ({"all": [7]}, "/rule/all/0", "none of"),
        ({"all": [], "any": []}, "/rule", "all and any"),
        ({"all": {}}, "/rule/all", ""),
        ({"any": []}, "/rule/any", ""),
        ({"not": [{"all": []}]}, "/rule/not", "none of"),
        ("select 1", "/rule", "none of"),
        (None, "/rule", "none of"),
        ({"list": "x"}, "/rule/list", ""),
        ({"list": str(uuid4()), "op": "eq"}, "/rule/op", "eq"),
        ({"event": "email.burnt", "op": "never"}, "/rule/event", "email.burnt"),
        ({"event": "email.opened", "op": "sometimes"}, "/rule/op", "sometimes"),
        ({"event": "email.opened", "op": "never", "value": 1}, "/rule/value", "no value"),
        ({"event": "email.opened", "op": "at_least"}, "/rule/value", "needs a number"),
        ({"event": "email.opened", "op": "at_least", "value": -1}, "/rule/value", ""),
        ({"event": "email.opened", "op": "at_least", "value": 1.5}, "/rule/value", ""),
        ({"event": "email.opened", "op": "never", "within": "1 month"}, "/rule/within", ""),
        ({"event": "email.opened", "op": "last_within"}, "/rule/within", "needs a span"),
        ({"event": "email.opened", "op": "last_not_within", "value": 1, "within": "1d"}, "/rule/value", "no value"),
        ({"money": "debts", "currency": "EUR", "op": "exists"}, "/rule/money", "debts"),
        ({"money": "total", "currency": "euro", "op": "exists"}, "/rule/currency", ""),
        ({"money": "total", "currency": "EUR", "op": "within", "value": "3d"}, "/rule/op", "within"),
        ({"money": "total", "currency": "EUR", "op": "gt", "value": "a lot"}, "/rule/value", "a number"),
        ({"money": "total", "currency": "EUR", "op": "gt", "value": {}}, "/rule/value", "a list of such"),
        ({"money": "total", "op": "exists"}, "/rule/currency", "missing"),
        ({"bucket": {"salt": "a", "from": 10, "to": 10}}, "/rule/bucket", "no part lies"),
        ({"bucket": {"salt": "a", "from": 0, "to": 101}}, "/rule/bucket", "no part lies"),
        ({"bucket": {"salt": "", "to": 1}}, "/rule/bucket/salt", ""),
        ({"attributes.born": 1}, "/rule", "none of"),
        ({"field": "attributes.born", "op": "anniversary", "value": "tomorrow"}, "/rule/value", "span"),
        ({"field": "created_at", "op": "anniversary", "value": "today"}, "/rule/op", "anniversary"),
        ({"segment": "x"}, "/rule/segment", ""),
    ],
)
def test_refusal_names_the_place_and_the_mend(document, pointer, says):
    error = refused(document)
    assert error.params["pointer"] == pointer
    assert says in error.message
    assert error.mend
    assert error.status == 422


def test_refusal_lists_what_is_allowed():
    assert "attributes.city" in refused({"field": "x", "op": "eq", "value": 1}).params["allowed"]
    assert "gte" in refused({"field": "score", "op": "contains", "value": 1}).params["allowed"]
    assert "email.clicked" in refused({"event": "email.burnt", "op": "never"}).params["allowed"]
    assert "purpose" in refused({"field": "email", "op": "eq", "value": "x", "y": 1}).params["allowed"]


def test_shares_are_stable_and_about_as_large_as_asked_for():
    """The parts of these ids must not change in any release: hold-outs would be mailed."""
    people = [UUID(int=n) for n in range(10_000)]
    assert [bucket_of("spring", 100, one) for one in people[:5]] == PARTS
    inside = sum(1 for one in people if bucket_of("spring", 100, one) < 10)
    assert 850 < inside < 1150
    both = sum(1 for one in people if bucket_of("spring", 100, one) < 50 and bucket_of("fall", 100, one) < 50)
    assert 2300 < both < 2700, "another salt deals anew"


def test_anniversaries_of_a_leap_day_are_kept_in_every_year():
    rule = Compare("attribute", "born", "date", "anniversary", timedelta())
    assert anniversaries(rule, datetime(2026, 2, 28, 12, tzinfo=UTC)) == ["02-28", "02-29"]
    assert anniversaries(rule, datetime(2028, 2, 28, 12, tzinfo=UTC)) == ["02-28"]
    assert anniversaries(rule, datetime(2028, 2, 29, 12, tzinfo=UTC)) == ["02-29"]
    week = Compare("attribute", "born", "date", "anniversary", timedelta(days=2))
    assert anniversaries(week, datetime(2026, 12, 30, 12, tzinfo=UTC)) == ["01-01", "12-30", "12-31"]


def test_limits_hold_before_anything_recurses():
    deep = {"all": []}
    for _ in range(5000):
        deep = {"not": deep}
    assert f"{MAX_DEPTH} levels" in refused(deep).message
    leaf = {"field": "score", "op": "gt", "value": 1}
    assert f"{MAX_CONDITIONS} conditions" in refused({"any": [leaf] * MAX_CONDITIONS}).message
    bound({"any": [leaf] * (MAX_CONDITIONS - 1)})
    assert "more than" in refused({"field": "language", "op": "in", "value": ["x"] * 1001}).message
