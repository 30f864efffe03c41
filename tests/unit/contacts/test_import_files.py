"""Every format gives the same rows; every way to fool the reader is refused, with where, in little memory."""

import csv
import gzip
import io
import json
import random
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from contacts.domain import inflating, xlsx_files
from contacts.domain.csv_files import NotCsv
from contacts.domain.import_files import open_file
from contacts.domain.json_files import NotJsonLines
from contacts.domain.tables import BadHeader, Inflated, Table, Undecodable, Unreadable
from contacts.domain.xlsx_files import NotXlsx
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import workbooks
from tests.fixtures.workbooks import row, sheet, text, workbook

HEADER = ["Email", "City", "Note"]
ROWS = [["a@x.example", "تهران", "two\nlines"], ["b@x.example", "", 'a, "b"; c'], ["c@x.example", "Zoë", "۱۲۳"]]


def opened(content: bytes, **options: str) -> tuple[Table, list[list[str]]]:
    table = open_file(io.BytesIO(content), **options)  # type: ignore[arg-type]
    return table, list(table.rows)


def as_csv(rows: list[list[str]], delimiter: str = ",") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([HEADER, *rows])
    return out.getvalue()


def as_json_lines(rows: list[list[str]]) -> str:
    return "".join(json.dumps(dict(zip(HEADER, cells, strict=True))) + "\n" for cells in rows)


FORMATS = {
    "csv": lambda rows: as_csv(rows).encode(),
    "tsv": lambda rows: as_csv(rows, "\t").encode(),
    "csv in utf-16 without a mark": lambda rows: as_csv(rows, ";").encode("utf-16-le"),
    "csv.gz": lambda rows: gzip.compress(as_csv(rows).encode("utf-8-sig")),
    "jsonl": lambda rows: as_json_lines(rows).encode(),
    "jsonl in utf-16": lambda rows: as_json_lines(rows).encode("utf-16"),
    "jsonl.gz": lambda rows: gzip.compress(as_json_lines(rows).encode()),
    "xlsx": lambda rows: workbooks.of_texts([HEADER, *rows]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_table(name: str) -> None:
    table, rows = opened(FORMATS[name](ROWS))
    assert (table.columns, rows) == (HEADER, ROWS)
    assert table.format == name[: len(table.format)].replace("tsv", "csv")
    assert table.compressed == name.endswith("gz")


_PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)


_SURE = sorted(set(FORMATS) - {"csv in utf-16 without a mark"})  # which some texts make a guess


@given(rows=st.lists(st.lists(_PRINTABLE, min_size=3, max_size=3), max_size=5), name=st.sampled_from(_SURE))
def test_whatever_stands_in_the_cells(rows: list[list[str]], name: str) -> None:
    first = ["a@x.example", "é", ""]  # so that UTF-16 without a mark can be told
    assert opened(FORMATS[name]([first, *rows]))[1] == [first, *rows]


def test_a_gzip_file_of_two_members_is_read_whole() -> None:
    half = as_csv(ROWS).encode()
    assert opened(gzip.compress(half[:40]) + gzip.compress(half[40:]))[1] == ROWS


# --- Encodings ---

ARABIC = ["الرياض", "محمد بن عبدالله العتيبي", "شركة النخبة للتجارة", "فاطمة الزهراء", "القاهرة"]
PERSIAN = ["تهران", "شرکت پارس گستر", "چمدان و ژاله", "مي\u200cخواهم", "علي رضايي"]
FRENCH = ["Zoë Lefèvre", "François Müller à Orléans", "Noël", "crème brûlée", "Hélène Côté"]
GERMAN = ["Jürgen Groß", "Köln", "Österreich", "Fußgängerübergänge", "Ärzte für Ältere"]
SPANISH = ["García Núñez", "Málaga", "¿Qué tal?", "José Ángel", "Peñíscola"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("windows-1256", ARABIC), ("windows-1256", PERSIAN), ("windows-1256", [*ARABIC, *FRENCH]),
     ("windows-1252", FRENCH), ("windows-1252", GERMAN), ("windows-1252", SPANISH),
     ("windows-1252", [*GERMAN, *FRENCH, *SPANISH])],
    ids=["arabic", "persian", "arabic with french", "french", "german", "spanish", "western"],
)  # fmt: skip
def test_the_two_windows_encodings_are_told_apart_by_their_words(encoding: str, words: list[str]) -> None:
    for n, word in enumerate(words):
        for cells in ([word], random.Random(n).sample(words, 3)):
            content = as_csv([[f"p{n}@x.example", one, "plain"] for one in cells])
            table, rows = opened(content.encode(encoding))
            assert [cells[1] for cells in rows] == [*cells], (word, table.encoding)
    table, _ = opened(as_csv([["a@x.example", word, ""] for word in words]).encode(encoding))
    assert table.encoding == encoding


def test_the_first_letter_beyond_ascii_may_come_late() -> None:
    plain = [[f"p{n}@x.example", "London", "a plain note"] for n in range(10_000)]
    for encoding in ("utf-8", "windows-1256"):
        table, rows = opened(as_csv([*plain, ["z@x.example", "الرياض", ""]]).encode(encoding))
        assert (table.encoding, rows[-1][1]) == (encoding, "الرياض")


def test_utf_8_with_a_broken_byte_is_not_taken_for_something_else() -> None:
    content = as_csv([["a@x.example", "تهران", ""], ["b@x.example", "شيراز", ""]]).encode()
    broken = content.replace("شيراز".encode(), b"\xd8" + "شيراز".encode())
    with pytest.raises(Undecodable) as caught:
        opened(broken)
    assert caught.value.row == 3


def test_bytes_that_tell_nothing_are_refused_with_a_way_out() -> None:
    content = b"Email,City\na@x.example,\xff\xfe\n"
    with pytest.raises(Undecodable):
        opened(content)
    assert opened(content, encoding="windows-1252")[1] == [["a@x.example", "ÿþ"]]


# --- XLSX ---


def test_cells_of_a_workbook_are_written_as_people_write_them() -> None:
    cells = [
        text("A2", "a@x.example"),
        '<c r="B2"><v>0.10000000000000001</v></c>',
        '<c r="C2"><v>989121234567</v></c>',
        '<c r="D2" s="1"><v>46082</v></c>',
        '<c r="E2" s="2"><v>46082.520833333336</v></c>',
        '<c r="F2" s="3"><v>1234.5</v></c>',
        '<c r="G2" t="b"><v>1</v></c>',
        '<c r="H2" t="e"><v>#N/A</v></c>',
        '<c r="I2" t="str"><f>A2&amp;"!"</f><v>a_x005F_b_x000D_</v></c>',
        '<c r="K2" t="inlineStr"><is><r><t>rich </t></r><r><t>text</t></r><rPh><t>said</t></rPh></is></c>',
    ]
    names = [text(f"{letter}1", f"c{letter}") for letter in "ABCDEFGHIJK"]
    _, rows = opened(workbook(sheet([row(1, *names), row(2, *cells)])))
    assert rows == [
        ["a@x.example", "0.1", "989121234567", "2026-03-01", "2026-03-01T12:30:00", "1234.5", "true", "", "a_b\r", "",
         "rich text"]
    ]  # fmt: skip


def test_rows_the_sheet_leaves_out_count() -> None:
    content = workbook(sheet([row(3, text("A3", "Email")), row(6, text("A6", "a@x.example"))]))
    table, rows = opened(content)
    assert (table.header_row, rows) == (3, [[], [], ["a@x.example"]])


@pytest.mark.parametrize(
    ("content", "why", "at"),
    [
        (b"PK\x03\x04 sheet", "broken", 1),
        (workbook(sheet([row(1, text("A1", "Email"))]))[:-100], "broken", 1),
        (workbook("<worksheet><sheetData><row"), "not XML", 1),
        (workbook(sheet([])), "empty", 1),
        (workbook('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'), "entities", 1),
        (workbook(sheet([row(1, text("A1", "Email")), row(2, '<c r="A2" t="s"><v>9</v></c>')])), "cannot be read", 2),
        (workbook(sheet([row(1, text("A1", "Email")), row(2, '<c r="A2" s="1"><v>x</v></c>')])), "cannot be read", 2),
        (workbook(sheet([row(1, text("A1", "Email")), row(2, text("A2", "a_x0000_b"))])), "cannot be read", 2),
        (workbook(sheet([row(2, text("A2", "Email")), row(1, text("A1", "x"))])), "comes after", 3),
        (workbook(sheet([row(1, text("A1", "Email")), row(2, text("A2", "x" * 200_000))])), "longer than", 2),
        (workbook(sheet([]), {"xl/workbook.xml": "<workbook/>"}), "no sheet", 1),
    ],
    ids=["no archive", "cut off", "no xml", "no rows", "entities", "no such text", "no date", "nul", "backwards",
         "long cell", "no sheet"],
)  # fmt: skip
def test_a_workbook_that_cannot_be_read_says_where(content: bytes, why: str, at: int) -> None:
    with pytest.raises(NotXlsx, match=why) as caught:
        opened(content)
    assert caught.value.row == at


def test_an_archive_that_is_no_workbook_is_told_from_one() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("people.csv", as_csv(ROWS))
    with pytest.raises(NotXlsx, match="without a workbook"):
        opened(out.getvalue())


# --- Bombs: bounded in what is read and in memory ---


class Endless(io.RawIOBase):
    """A file that says it is huge, made while it is read."""

    def __init__(self, start: bytes, fill: bytes, size: int) -> None:
        self.start, self.fill, self.size, self.at, self.given = start, fill * 65_536, size, 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (self.size if whence == io.SEEK_END else 0)
        return self.at

    def readinto(self, buffer) -> int:
        data = self.start[self.at : self.at + len(buffer)] or self.fill[: min(len(buffer), self.size - self.at)]
        buffer[: len(data)] = data
        self.at += len(data)
        self.given += len(data)
        return len(data)


GIB = 1024**3


@pytest.mark.parametrize(
    ("start", "fill", "kind", "at"),
    [
        (b"Email,City\n", b"x", NotCsv, 2),
        (b'Email,City\n"', b"\n", NotCsv, 2),
        (b"Email,City\n", b'"\n",', NotCsv, 2),
        (b"", b"x", NotCsv, 1),
        ("Email,City\n".encode("utf-16-le"), b"x\0", NotCsv, 2),
        (b'{"email":"', b"x", NotJsonLines, 1),
    ],
    ids=["one line", "one cell", "one row", "one header", "utf-16", "json"],
)
def test_a_line_of_a_gibibyte_costs_a_few_mebibytes(start: bytes, fill: bytes, kind: type, at: int) -> None:
    file = Endless(start, fill, GIB)
    tracemalloc.start()
    with pytest.raises(kind) as caught:
        for _ in open_file(io.BufferedReader(file)).rows:
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.row == at
    assert file.given < 1.1 * GIB, "one look at the bytes to tell their encoding, and no more"
    assert peak < 40 * 1024**2


def _gzip_bomb(mebibytes: int) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    line = b"a@x.example," + b"0" * 1000 + b"\n"
    block = line * 1000
    return pack.compress(b"Email,City\n") + b"".join(pack.compress(block) for _ in range(mebibytes)) + pack.flush()


def test_a_gzip_bomb_stops_at_its_measure() -> None:
    bomb = _gzip_bomb(120)
    assert len(bomb) < 500_000
    tracemalloc.start()
    with pytest.raises(Inflated):
        for _ in open_file(io.BytesIO(bomb)).rows:
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024**2


def test_a_workbook_that_inflates_too_far_stops_at_its_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "_FREE_BYTES", 1024**2)
    many = [row(1, text("A1", "Email")), *(row(n, text(f"A{n}", "0" * 1000)) for n in range(2, 20_000))]
    for content in (
        workbook(sheet(many)),
        workbook(sheet([row(1, text("A1", "Email"))]), {"xl/sharedStrings.xml": f"<sst>{'<si/>' * 5_000_000}</sst>"}),
    ):
        with pytest.raises(Inflated):
            opened(content)


def test_an_element_without_end_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "MOST_RATIO", 10_000)
    content = workbook(f'<worksheet a="{"x" * 60_000_000}"/>')
    tracemalloc.start()
    with pytest.raises(NotXlsx, match="without end"):
        opened(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024**2


def test_an_archive_of_a_million_entries_is_not_listed() -> None:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 1, 0, 0) + bytes(12) + b"a"
    directory = entry * 1_000_000
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, len(directory), 8, 0)
    with pytest.raises(NotXlsx, match="far more entries"):
        opened(b"PK\x03\x04" + bytes(4) + directory + end)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_damaged_gzip_file_is_refused_with_its_row(cut: float) -> None:
    noise = random.Random(1)
    people = [[f"p{n}@x.example", f"{noise.random()}", ""] for n in range(20_000)]
    content = gzip.compress(as_csv(people).encode())
    with pytest.raises(NotCsv, match="damaged"):
        opened(content[: int(len(content) * cut)])
    flipped = bytearray(content)
    flipped[int(len(content) * cut)] ^= 0xFF
    with pytest.raises(Unreadable):
        opened(bytes(flipped))


def test_a_gzip_file_in_a_gzip_file_is_refused() -> None:
    with pytest.raises(NotCsv, match="a gzip file"):
        opened(gzip.compress(gzip.compress(as_csv(ROWS).encode())))


# --- Headers and JSON ---


@pytest.mark.parametrize(
    ("content", "kind", "column"),
    [
        (b"Email,City,Email\n", BadHeader, "Email"),
        (",".join(f"c{n}" for n in range(501)).encode(), BadHeader, None),
        (workbooks.of_texts([["Email", "Email"]]), BadHeader, "Email"),
        (b"".join(b'{"c%d":1}\n' % n for n in range(501)), NotJsonLines, None),
        (b'{"a.b":1,"a":{"b":2}}\n', NotJsonLines, "a.b"),
        (b"{}\n", Unreadable, None),
    ],
    ids=["csv twice", "csv many", "xlsx twice", "json many", "json twice", "json none"],
)
def test_columns_have_names_of_their_own_and_are_not_too_many(content: bytes, kind: type, column: str | None) -> None:
    with pytest.raises(kind) as caught:
        opened(content)
    assert caught.value.column == column


def test_nested_objects_become_dotted_columns() -> None:
    lines = [
        {"email": "a@x.example", "attributes": {"city": "تهران", "size": {"eu": 42}}, "vip": True},
        {"email": "b@x.example", "score": 1.5, "tags": ["a", "b"], "attributes": None, "more": [1, {"x": None}]},
    ]
    table, rows = opened("\n\n".join(json.dumps(line) for line in lines).encode())
    assert table.columns == ["email", "attributes.city", "attributes.size.eu", "vip", "score", "tags", "attributes",
                             "more"]  # fmt: skip
    assert rows == [
        ["a@x.example", "تهران", "42", "true", "", "", "", ""],
        [],
        ["b@x.example", "", "", "", "1.5", "a,b", "", '[1,{"x":null}]'],
    ]


@pytest.mark.parametrize(
    ("lines", "at", "column"),
    [
        (['{"email":"a@x.example"}', "{"], 2, None),
        (['{"email":"a@x.example"}', "[1]"], 2, None),
        (['{"email":"a@x.example","note":"a\\u0000b"}'], 1, "note"),
        (['{"email":"\\ud800"}'], 1, None),
        (['{"a":' * 2000 + "1" + "}" * 2000], 1, None),
        (['{"a":' * 25 + "1" + "}" * 25], 1, ".".join("a" * 22)),
        (['{"a":' + "[" * 600 + "]" * 600 + "}"], 1, None),
        (['[{"email":"a@x.example"}]'], 1, None),
    ],
    ids=["cut off", "a list", "nul", "half a pair", "very deep", "deep", "deep lists", "a document"],
)
def test_a_line_that_is_no_plain_object_is_refused(lines: list[str], at: int, column: str | None) -> None:
    with pytest.raises(NotJsonLines) as caught:
        opened("\n".join(lines).encode())
    assert (caught.value.row, caught.value.column) == (at, column)


def test_many_objects_side_by_side_are_no_depth() -> None:
    line = {"email": "a@x.example", **{f"o{n}": {"a": n} for n in range(400)}}
    assert len(opened(json.dumps(line).encode())[0].columns) == 401


def test_millions_of_shared_texts_stay_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    content = workbooks.of_texts([["Email"], *([f"a person with a long name {n}"] for n in range(100_000))])
    tracemalloc.start()
    table = xlsx_files.read_xlsx(io.BytesIO(content))
    assert sum(1 for _ in table[2]) == 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024**2
