import io
from uuid import UUID

import pytest
from contacts.domain.addresses import Addresses
from contacts.domain.import_files import open_file
from contacts.domain.import_plan import WrongMapping, make_plan
from contacts.domain.import_rows import RowReader
from contacts.domain.tables import Undecodable, Unreadable
from contacts.domain.values import Definition, detect
from hypothesis import given
from hypothesis import strategies as st

WORKSPACE = UUID("01890000-0000-7000-8000-000000000001")
TEXT = 'Email{d}City\r\na@x.example{d}"تهران\nشمال"\r\nb@x.example{d}"a, ""b""; c"\r\n'
CELLS = [["a@x.example", "تهران\nشمال"], ["b@x.example", 'a, "b"; c']]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_delimiter_and_encoding_are_found_out(delimiter: str, encoding: str) -> None:
    opened = open_file(io.BytesIO(TEXT.format(d=delimiter).encode(encoding)), ["Email", "City"])
    assert (opened.delimiter, opened.columns) == (delimiter, ["Email", "City"])
    assert list(opened.rows) == CELLS


def test_another_encoding_may_be_named() -> None:
    content = "Email,City\na@x.example,الرياض\n".encode("iso-8859-6")
    with pytest.raises(Undecodable):
        list(open_file(io.BytesIO(content), encoding="utf-8").rows)
    assert list(open_file(io.BytesIO(content), encoding="iso-8859-6").rows) == [["a@x.example", "الرياض"]]


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"", 1),
        (b"PK\x03\x04 a zip", 1),
        (b"%PDF-1.7", 1),
        (b"Email,City\na@x.example,\x00\n", 2),
        (b'Email,City\na@x.example,"open\n', 2),
        (b'Email,City\na@x.example,"a"b\n', 2),
        (b"Email,Email\n", 1),
        (b",,\n", 1),
        (b"Email\n" + b"x" * 200_000, 2),
    ],
)
def test_what_is_not_csv_is_refused_with_its_row(content: bytes, row: int) -> None:
    with pytest.raises(Unreadable) as caught:
        list(open_file(io.BytesIO(content)).rows)
    assert caught.value.row == row


def test_a_wrong_byte_far_into_the_file_is_found_with_its_row() -> None:
    content = b"Email\n" + b"a@x.example\n" * 20_000 + b"\xff\xfe\n"
    with pytest.raises(Undecodable) as caught:
        list(open_file(io.BytesIO(content)).rows)
    assert 15_000 < caught.value.row <= 20_002


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=2, max_size=2)
    )
)
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    import csv

    text = io.StringIO(newline="")
    csv.writer(text).writerows([["Email", "City"], *rows])
    assert list(open_file(io.BytesIO(text.getvalue().encode()), ["Email", "City"]).rows) == rows


def _read(text: str, mapping: dict[str, str], **known: str) -> list:
    opened = open_file(io.BytesIO(text.encode()), mapping)
    defined = {name: Definition(kind) for name, kind in known.items()}  # type: ignore[arg-type]
    plan = make_plan(opened.columns, mapping, defined, create_attributes=True)
    reader = RowReader(plan, WORKSPACE, Addresses(b"p" * 32, WORKSPACE))
    return [*reader.read(opened.rows), plan]


def test_types_of_new_attributes_are_the_narrowest_that_fit_all_values() -> None:
    rows = ["1,2026-01-01,true,1,007,x", "2.5,2026-12-31,false,,12,y", "-3,2026-02-28,TRUE,text,1,x"]
    text = "Email,n,d,b,mixed,zeros,cat\n" + "".join(f"p{i}@x.example,{row}\n" for i, row in enumerate(rows))
    mapping = {"Email": "email", **{name: f"attributes.{name}" for name in ("n", "d", "b", "mixed", "zeros", "cat")}}
    *_, plan = _read(text, mapping)
    kinds = {column.name: column.kind for column in plan.attributes}
    assert kinds == {"n": "number", "d": "date", "b": "boolean", "mixed": "text", "zeros": "text", "cat": "text"}


@pytest.mark.parametrize("text", ["+98912", "۱۲۳", "1e9", "0123", "2026-02-30", "1" * 16, "NaN", "yes"])
def test_what_only_looks_like_a_number_or_date_stays_text(text: str) -> None:
    assert detect(text) == "text"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",London", "missing_email"),
        ("  ,London", "missing_email"),
        ("nobody,London", "invalid_email"),
        ('"a@x.example\r\nBcc: b@x.example",London', "invalid_email"),
        ("a@x.example,London,extra", "too_many_columns"),
        ("a@x.example,Germany", "invalid_country"),
        ("a@x.example", None),
    ],
)
def test_a_rejected_row_says_why_and_keeps_its_cells(row: str, code: str | None) -> None:
    staged, _ = _read(
        f"Email,Where\n{row}\n",
        {"Email": "email", "Where": "country"}
        if code == "invalid_country"
        else {"Email": "email", "Where": "attributes.city"},
    )
    assert staged.code == code
    assert staged.row == 2
    if code == "invalid_country":
        assert staged.cells == ["a@x.example", "Germany"]


def test_rows_keep_their_numbers_and_only_good_ones_teach_types() -> None:
    text = "Email,n,Where\na@x.example,1,GB\n\nnobody,x,GB\nb@x.example,x,nowhere\n,2,GB\n c@x.example , 3 ,gb\n"
    *rows, plan = _read(text, {"Email": "email", "n": "attributes.n", "Where": "country"})
    assert [(one.row, one.code) for one in rows] == [
        (2, None), (4, "invalid_email"), (5, "invalid_country"), (6, "missing_email"), (7, None),
    ]  # fmt: skip
    assert rows[2].address is None
    assert rows[2].hash is not None
    assert tuple(rows[-1].cells) == (" c@x.example ", "3", "GB")
    assert rows[-1].address.email == "c@x.example"
    assert plan.attributes[0].kind == "number"
    assert plan.attributes[0].values == {"1", "3"}


def test_the_first_thing_wrong_with_a_row_is_told() -> None:
    long = "x" * 501
    text = f"Email,F,Where,n\na@x.example,{long},nowhere,many\nb@x.example,f,nowhere,many\nc@x.example,f,GB,many\n"
    mapping = {"Email": "email", "n": "attributes.n", "Where": "country", "F": "first_name"}
    *rows, _ = _read(text, mapping, n="number")
    assert [one.code for one in rows] == ["value_too_long", "invalid_country", "invalid_attribute"]


def test_more_rows_than_are_read_at_once_are_numbered_on() -> None:
    text = "Email\n" + "".join(f"p{n}@x.example\n" for n in range(5000))
    *rows, _ = _read(text, {"Email": "email"})
    assert [one.row for one in rows] == list(range(2, 5002))
    assert len({one.id for one in rows}) == 5000


def test_a_value_of_another_type_than_the_attribute_has_is_rejected() -> None:
    staged, _ = _read("Email,n\na@x.example,many\n", {"Email": "email", "n": "attributes.n"}, n="number")
    assert (staged.code, "many" in staged.message) == ("invalid_attribute", True)


@pytest.mark.parametrize(
    ("mapping", "code", "column"),
    [
        ({"Mail": "email"}, "missing_column", "Mail"),
        ({"City": "attributes.city"}, "missing_column", "email"),
        ({"Email": "email", "City": "score"}, "invalid_mapping", "City"),
        ({"Email": "email", "City": "attributes.not a name"}, "invalid_mapping", "City"),
        ({"Email": "email", "City": "email"}, "invalid_mapping", "City"),
    ],
)
def test_a_mapping_that_cannot_be_used_names_the_column(mapping: dict[str, str], code: str, column: str) -> None:
    with pytest.raises(WrongMapping) as caught:
        make_plan(["Email", "City"], mapping, {}, create_attributes=True)
    assert (caught.value.code, caught.value.column) == (code, column)


def test_without_a_mapping_columns_go_by_their_names() -> None:
    plan = make_plan(["E-Mail", "First name", "Lieblingsfarbe"], None, {}, create_attributes=True)
    assert plan.fields == {"email": 0, "first_name": 1}
    assert [column.name for column in plan.attributes] == ["lieblingsfarbe"]
