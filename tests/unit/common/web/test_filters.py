from datetime import UTC, datetime
from uuid import UUID

import pytest
from common.web.filters import BadFilter, Field, Grammar
from common.web.pages import BadCursor, PageQuery, encode_cursor, page
from hypothesis import given
from hypothesis import strategies as st

GRAMMAR = Grammar(
    {
        "email": Field("c.email", sortable=True),
        "created_at": Field("c.created_at", "time", sortable=True),
        "score": Field("c.score", "number"),
        "visits": Field("c.visits", "integer"),
        "list_id": Field("c.list_id", "uuid"),
        "active": Field("c.active", "bool"),
    },
    default_sort="-created_at",
    id_sql="c.id",
)


def test_no_filter_is_true_and_the_default_sort() -> None:
    found = GRAMMAR.select([], None, PageQuery(50))

    assert (found.where, found.order, found.limit, found.args) == ("true", "c.created_at desc, c.id desc", 51, [])


def test_filters_become_numbered_parameters() -> None:
    list_id = UUID(int=7)
    found = GRAMMAR.select(
        ["email:contains:50%_\\", f"list_id:in:{list_id}", "visits:ge:3", "active:eq:true", "score:is:null"],
        "email",
        PageQuery(),
        first_parameter=3,
    )

    assert found.where == (
        "c.email ilike $3::text and c.list_id = any($4::uuid[]) and c.visits >= $5::bigint"
        " and c.active = $6::boolean and c.score is null"
    )
    assert found.args == ["%50\\%\\_\\\\%", [list_id], 3, True]
    assert found.order == "c.email, c.id"


@pytest.mark.parametrize(
    "text",
    [
        "password:eq:x",
        "email; drop table contacts:eq:x",
        "c.email:eq:x",
        "email",
        "email:eq",
        "email:like:x",
        "email:lt:x",
        "visits:eq:one",
        "visits:eq:99999999999999999999",
        "score:eq:NaN",
        "score:eq:1e999999",
        "created_at:lt:yesterday",
        "created_at:lt:2026-01-01T00:00:00",
        "list_id:eq:1",
        "active:eq:maybe",
        "email:is:1",
        "email:eq:a\0b",
        "email:contains:\0",
        ":::",
        "",
    ],
)
def test_what_is_not_in_the_grammar_is_400(text: str) -> None:
    with pytest.raises(BadFilter):
        GRAMMAR.select([text], None, PageQuery())


def test_an_unknown_field_lists_those_allowed() -> None:
    with pytest.raises(BadFilter) as caught:
        GRAMMAR.select(["name:eq:x"], None, PageQuery())

    assert caught.value.mend == "Filter by: active, created_at, email, list_id, score, visits"


@pytest.mark.parametrize("sort", ["score", "-visits", "email desc", "email;--", "--email", "id"])
def test_only_sortable_fields_sort(sort: str) -> None:
    with pytest.raises(BadFilter, match="cannot be sorted"):
        GRAMMAR.select([], sort, PageQuery())


def test_a_cursor_goes_on_after_the_last_row() -> None:
    last = {"id": UUID(int=7), "created_at": datetime(2026, 3, 1, tzinfo=UTC), "email": "a@example.com"}
    first = GRAMMAR.select([], None, PageQuery(1))
    found = page([last, last], first.query, lambda row: 1, first.key)

    second = GRAMMAR.select(["visits:eq:1"], None, PageQuery(1, found.next_cursor))

    assert second.where == "c.visits = $2::bigint and (c.created_at, c.id) < ($3::timestamptz, $4::uuid)"
    assert second.args == [1, last["created_at"], last["id"]]


def test_a_cursor_of_another_sort_is_400() -> None:
    cursor = encode_cursor("-created_at", datetime(2026, 3, 1, tzinfo=UTC), UUID(int=7))

    with pytest.raises(BadCursor):
        GRAMMAR.select([], "email", PageQuery(1, cursor))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "AA",
        "é",
        "W10",
        encode_cursor("-created_at"),
        encode_cursor("-created_at", None, None),
        encode_cursor("-created_at", "x", str(UUID(int=7))),
        encode_cursor("-created_at", "2026-01-01T00:00:00Z", "x"),
    ],
)
def test_a_forged_cursor_is_400(cursor: str) -> None:
    with pytest.raises(BadCursor):
        GRAMMAR.select([], None, PageQuery(1, cursor))


def test_the_last_page_has_no_cursor() -> None:
    assert page([1, 2], PageQuery(2), str, lambda row: (row,)).next_cursor is None
    assert page([1, 2, 3], PageQuery(2), str, lambda row: (row,)).items == ["1", "2"]


@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=80))
def test_no_text_ever_reaches_the_sql(text: str, sort: str, cursor: str) -> None:
    """Whatever callers write, the SQL is made of our own fragments only."""
    try:
        found = GRAMMAR.select([text], sort or None, PageQuery(1, cursor or None))
    except (BadFilter, BadCursor):
        return
    plain = found.where + found.order
    for field in GRAMMAR.fields.values():
        plain = plain.replace(field.sql, "")
    allowed = set("$0123456789()=<>,: []") | set("andinullotyisfedcrgbmpzkhw")
    assert set(plain.replace("c.id", "")) <= allowed | set(".")


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30).filter(lambda s: "\0" not in s))
def test_every_text_value_arrives_as_it_was_written(value: str) -> None:
    assert GRAMMAR.select([f"email:eq:{value}"], None, PageQuery()).args == [value]


def test_ids_are_parsed() -> None:
    value = UUID(int=7)
    assert GRAMMAR.select([f"list_id:ne:{value}"], None, PageQuery()).args == [value]
