"""Each format is read back by another library than wrote it."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from arro3.io import read_parquet
from contacts.domain.exports.columns import UnknownColumn, columns, written
from contacts.domain.exports.parquet import write_parquet
from contacts.domain.exports.spreadsheets import GUARDED_ID, guarded, unguarded
from contacts.domain.exports.text_files import write_csv, write_guarded_csv, write_json_lines
from contacts.domain.exports.xlsx import write_xlsx
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

NEWSLETTER = "0198f2aa-0000-7000-8000-000000000001"
AT = datetime(2026, 3, 21, 5, 30, 15, 250_000, tzinfo=UTC)
ATTRIBUTES: dict[str, Any] = {"city": "text", "visits": "number", "vip": "boolean", "born": "date"}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
numbers = st.integers(-(10**14), 10**14) | st.floats(-1e14, 1e14, allow_nan=False)


def person(**more: Any) -> dict[str, Any]:
    empty = ("first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "company", "city",
             "owner", "grade")  # fmt: skip
    row = dict.fromkeys(empty, None)
    return {
        **row, "id": UUID(int=7), "email": "sara@example.com", "stage": "lead", "score": 1.5, "tracking": "none",
        "created_at": AT, "updated_at": AT, "tags": [], "lists": [], "attributes": {}, "consents": {}, **more,
    }  # fmt: skip


SARA = person(
    first_name="سارا", tags=["expo", "نمایشگاه"], lists=["VIP, old", "b"], consents={NEWSLETTER: "subscribed"},
    attributes={"city": "=HYPERLINK(1)", "visits": -3, "vip": True, "born": "1990-01-31"},
)  # fmt: skip
ALL = columns(ATTRIBUTES, {"newsletter": NEWSLETTER})


def made(write: Any, rows: list[dict[str, Any]], of: Any = ALL) -> bytes:
    file = io.BytesIO()
    write(of, [rows[:1], rows[1:]] if len(rows) > 1 else [rows], file)
    return file.getvalue()


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_raw_csv_has_every_value_as_it_is() -> None:
    (row,) = table(made(write_csv, [SARA]))
    assert row["id"] == str(UUID(int=7))
    assert (row["first_name"], row["tags"], row["consent.newsletter"]) == ("سارا", "expo,نمایشگاه", "subscribed")
    assert (row["attributes.city"], row["attributes.visits"], row["attributes.vip"]) == ("=HYPERLINK(1)", "-3", "true")
    assert (row["attributes.born"], row["last_name"]) == ("1990-01-31", "")
    assert datetime.fromisoformat(row["created_at"]) == AT


def test_a_spreadsheet_never_sees_a_formula_and_numbers_stay_numbers() -> None:
    data = made(write_guarded_csv, [SARA, person(first_name="@SUM(A1)", last_name="'quoted", attributes={"city": "-"})])
    assert data.startswith(b"\xef\xbb\xbf")
    one, two = table(data[3:])
    assert next(iter(one)) == GUARDED_ID
    assert (one["attributes.city"], one["attributes.visits"]) == ("'=HYPERLINK(1)", "-3")
    assert (two["first_name"], two["last_name"], two["attributes.city"]) == ("'@SUM(A1)", "''quoted", "'-")


@given(texts)
def test_the_way_back_takes_off_what_was_added_and_nothing_else(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in set("=+-@\t\r\n＝＋－＠")


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
def test_any_text_comes_back_from_csv(pairs: list[tuple[str, str]]) -> None:
    rows = [person(first_name=name, attributes={"city": city}) for name, city in pairs]
    found = table(made(write_csv, rows))
    assert [(row["first_name"], row["attributes.city"]) for row in found] == pairs


@given(st.lists(st.tuples(texts, numbers), min_size=1, max_size=6))
def test_any_text_and_number_comes_back_from_xlsx(pairs: list[tuple[str, float]]) -> None:
    rows = [person(first_name=name, attributes={"visits": number}) for name, number in pairs]
    book = CalamineWorkbook.from_filelike(io.BytesIO(made(write_xlsx, rows, columns(ATTRIBUTES, {}, NAMES))))
    header, *found = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert header == NAMES
    # The reader knows no escapes of control characters; those that XML can hold are all there.
    wanted = [(name, number) for name, number in pairs if written(name).isprintable()]
    read = [(row[0], row[1]) for row, (name, _) in zip(found, pairs, strict=True) if written(name).isprintable()]
    assert read == [(name, float(number)) for name, number in wanted]


NAMES = ["first_name", "attributes.visits"]


def test_xlsx_keeps_formulas_as_text_booleans_as_booleans_and_says_what_xml_cannot_hold() -> None:
    data = made(write_xlsx, [SARA, person(first_name="a\x0bb", last_name=" x_x0041_ <&> ")])
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    header, one, two = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    first = dict(zip(header, one, strict=True))
    assert (first["attributes.city"], first["attributes.vip"], first["attributes.visits"]) == (
        "=HYPERLINK(1)",
        True,
        -3,
    )
    second = dict(zip(header, two, strict=True))
    assert second["first_name"] in ("a\x0bb", "a_x000B_b")
    assert second["last_name"] in (" x_x0041_ <&> ", " x_x005F_x0041_ <&> ")


def test_json_lines_have_objects_lists_and_no_nulls() -> None:
    (line,) = made(write_json_lines, [SARA]).splitlines()
    found = json.loads(line)
    assert (found["tags"], found["lists"]) == (["expo", "نمایشگاه"], ["VIP, old", "b"])
    assert found["attributes"] == SARA["attributes"]
    assert found["consents"] == {"newsletter": "subscribed"}
    assert "last_name" not in found


def test_parquet_has_types_and_nulls() -> None:
    read = read_parquet(io.BytesIO(made(write_parquet, [SARA, person()]))).read_all()
    found = {name: read[name].to_pylist() for name in read.column_names}
    assert found["attributes.visits"] == [-3.0, None]
    assert found["attributes.vip"] == [True, None]
    assert found["first_name"] == ["سارا", None]
    assert [one.astimezone(UTC) for one in found["created_at"]] == [AT, AT]


def test_an_export_of_nobody_is_a_file_with_a_header() -> None:
    assert table(made(write_csv, [])) == []
    assert read_parquet(io.BytesIO(made(write_parquet, []))).read_all().num_rows == 0
    book = CalamineWorkbook.from_filelike(io.BytesIO(made(write_xlsx, [])))
    assert len(book.get_sheet_by_index(0).to_python()) == 1


@given(numbers)
def test_numbers_are_written_without_an_exponent(number: float) -> None:
    assert float(written(number)) == number
    assert "e" not in written(number).lower()


def test_some_columns_come_in_the_order_asked_for() -> None:
    names = [column.name for column in columns(ATTRIBUTES, {}, ["attributes.vip", "email", "attributes.vip"])]
    assert names == ["attributes.vip", "email"]
    with pytest.raises(UnknownColumn, match=r"attributes\.age") as refused:
        columns(ATTRIBUTES, {}, ["email", "attributes.age"])
    assert "attributes.city" in refused.value.known
