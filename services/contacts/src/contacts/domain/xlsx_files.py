"""Reading XLSX workbooks (ECMA-376): the first visible sheet, row by row.

Streams, in memory that does not grow with the sheet: a library that reads faster holds the whole sheet, and none of
them bounds what comes out of the archive (ADR 0031). Refused: entity declarations, elements and cells without end,
archives that inflate beyond their measure.
"""

import io
import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO
from xml.parsers import expat

from contacts.domain.inflating import Inflating
from contacts.domain.tables import MAX_CELL_CHARACTERS, MAX_COLUMNS, Unreadable
from contacts.domain.xlsx_values import SharedStrings, as_moment, as_number, is_moment, unescape

_CHUNK = 65_536
_MOST_PENDING = 1_048_576
_MOST_DIRECTORY = 262_144
_MOST_STYLES = 100_000


class NotXlsx(Unreadable):
    """The bytes are no workbook that can be read."""


def read_xlsx(file: IO[bytes]) -> tuple[int, list[str], Iterator[list[str]]]:
    """The number of the header's row, its cells, and the rows after it. Raises NotXlsx, Inflated; so do the rows."""
    workbook = _Workbook(file)
    rows = workbook.rows()
    for number, cells in rows:
        if any(cells):
            return number, cells, _numbered_on(rows, number)
    raise NotXlsx("the first sheet of the workbook is empty")


def _numbered_on(rows: Iterator[tuple[int, list[str]]], last: int) -> Iterator[list[str]]:
    """The rows with empty ones where the sheet leaves numbers out."""
    for number, cells in rows:
        yield from ([] for _ in range(last + 1, number))
        last = number
        yield cells


class _Guarded(io.RawIOBase):
    """The file as the archive's reader may see it: a directory of a million entries is not read into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_MOST_DIRECTORY + 1 if size is None or size < 0 else min(size, _MOST_DIRECTORY + 1))
        if len(data) > _MOST_DIRECTORY:
            raise NotXlsx("the archive has far more entries than a workbook")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class _Workbook:
    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._archive = zipfile.ZipFile(_Guarded(file))
        except Unreadable:
            raise
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise NotXlsx(f"the workbook is broken: {error}") from error
        self._names = {name.lower(): name for name in self._archive.namelist()}
        if "xl/workbook.xml" not in self._names:
            raise NotXlsx("the file is a ZIP archive without a workbook in it; send the file that is inside")
        self._since_1904 = False
        self._sheet = self._first_sheet()
        self._moments = self._moment_styles()
        self._strings = self._shared_strings()

    def _parse(self, name: str, parser: expat.XMLParserType) -> Iterator[None]:
        """Feed a part of the archive; yields after each chunk."""
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        fed = 0
        try:
            info = self._archive.getinfo(self._names[name.lower()])
            with self._archive.open(info) as part:
                inflating = Inflating(part, info.compress_size)
                while chunk := inflating.read(_CHUNK):
                    parser.Parse(chunk)
                    fed += len(chunk)
                    if fed - parser.CurrentByteIndex > _MOST_PENDING:
                        raise NotXlsx(f"{name} has an element without end")
                    yield
            parser.Parse(b"", True)
        except KeyError as error:
            raise NotXlsx(f"the workbook has no {name}") from error
        except expat.ExpatError as error:
            raise NotXlsx(f"{name} is not XML: {error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise NotXlsx(f"the workbook is broken: {error}") from error

    def _read(self, name: str, start: Callable[[str, dict[str, str]], None]) -> None:
        if name.lower() not in self._names:
            return
        parser = _parser()
        parser.StartElementHandler = lambda tag, given: start(_local(tag), given)
        for _ in self._parse(name, parser):
            pass

    def _first_sheet(self) -> str:
        sheets: list[tuple[bool, str]] = []
        targets: dict[str, str] = {}

        def workbook(tag: str, given: dict[str, str]) -> None:
            if tag == "sheet" and len(sheets) < _MOST_STYLES:
                link = next((value for key, value in given.items() if _local(key) == "id"), "")
                sheets.append((given.get("state", "visible") != "visible", link))
            elif tag == "workbookPr":
                self._since_1904 = given.get("date1904") in ("1", "true")

        def relations(tag: str, given: dict[str, str]) -> None:
            if tag == "Relationship" and len(targets) < _MOST_STYLES:
                targets[given.get("Id", "")] = given.get("Target", "")

        self._read("xl/workbook.xml", workbook)
        self._read("xl/_rels/workbook.xml.rels", relations)
        for _, link in sorted(sheets, key=lambda one: one[0]):
            if link in targets:
                return posixpath.normpath(posixpath.join("/xl", targets[link])).lstrip("/")
        raise NotXlsx("the workbook has no sheet")

    def _moment_styles(self) -> list[str | None]:
        """For each style of cells: "date", "moment", or None."""
        formats: dict[int, str] = {}
        styles: list[str | None] = []
        inside = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal inside
            if tag == "numFmt" and len(formats) < _MOST_STYLES:
                formats[int(given.get("numFmtId", "0"))] = given.get("formatCode", "")
            elif tag in ("cellXfs", "cellStyleXfs", "dxfs"):
                inside = tag == "cellXfs"
            elif tag == "xf" and inside and len(styles) < _MOST_STYLES:
                number = int(given.get("numFmtId", "0"))
                styles.append(is_moment(number, formats.get(number)))

        try:
            self._read("xl/styles.xml", start)
        except Unreadable:
            raise
        except ValueError as error:
            raise NotXlsx("xl/styles.xml is broken") from error
        return styles

    def _shared_strings(self) -> SharedStrings:
        strings = SharedStrings()
        name = "xl/sharedStrings.xml"
        if name.lower() not in self._names:
            strings.close()
            return strings
        taking, said = False, False
        parts: list[str] = []
        characters = 0

        def start(tag: str, _given: dict[str, str]) -> None:
            nonlocal taking, said, characters
            if tag == "si":
                parts.clear()
                characters = 0
            elif tag == "rPh":
                said = True
            elif tag == "t":
                taking = not said

        def end(tag: str) -> None:
            nonlocal taking, said
            if tag == "t":
                taking = False
            elif tag == "rPh":
                said = False
            elif tag == "si":
                strings.add("".join(parts))

        def data(text: str) -> None:
            nonlocal characters
            if taking:
                characters += len(text)
                if characters > MAX_CELL_CHARACTERS:
                    raise NotXlsx(f"{name} has a text longer than {MAX_CELL_CHARACTERS:,} characters")
                parts.append(text)

        parser = _parser()
        parser.StartElementHandler = lambda tag, given: start(_local(tag), given)
        parser.EndElementHandler = lambda tag: end(_local(tag))
        parser.CharacterDataHandler = data
        try:
            for _ in self._parse(name, parser):
                pass
        finally:
            strings.close()
        return strings

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each row the sheet has."""
        sheet = _Sheet(self._strings, self._moments, since_1904=self._since_1904)
        for _ in self._parse(self._sheet, sheet.parser):
            if sheet.done:
                yield from sheet.done
                sheet.done = []
        yield from sheet.done


class _Sheet:
    """Turns the events of a sheet's XML into rows."""

    def __init__(self, strings: SharedStrings, moments: list[str | None], *, since_1904: bool) -> None:
        self.done: list[tuple[int, list[str]]] = []
        self._strings = strings
        self._moments = moments
        self._since_1904 = since_1904
        self._row = 0
        self._cells: list[str] = []
        self._place = 0
        self._kind = ""
        self._style = 0
        self._text = ""
        self._taking = False
        self._said = False  # how a word is said, which stands beside it
        self.parser = parser = _parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data

    def _start(self, tag: str, given: dict[str, str]) -> None:
        tag = _local(tag)
        if tag == "c":
            self._kind = given.get("t", "")
            self._style = int(given["s"]) if "s" in given else -1
            place = _column(given.get("r", ""))
            self._place = len(self._cells) if place < 0 else place
            self._text = ""
        elif tag in ("v", "t"):
            self._taking = not self._said
        elif tag == "rPh":
            self._said = True
        elif tag == "row":
            number = int(given.get("r") or self._row + 1)
            if number <= self._row or number > 1_048_576:
                raise NotXlsx(f"row {number} comes after row {self._row}", self._row + 1)
            self._row = number
            self._cells = []

    def _data(self, text: str) -> None:
        if self._taking:
            self._text += text
            if len(self._text) > MAX_CELL_CHARACTERS:
                message = f"row {self._row}, column {self._place + 1} is longer than {MAX_CELL_CHARACTERS:,} characters"
                raise NotXlsx(message, self._row, str(self._place + 1))

    def _end(self, tag: str) -> None:
        tag = _local(tag)
        if tag in ("v", "t"):
            self._taking = False
        elif tag == "rPh":
            self._said = False
        elif tag == "c":
            cells, place = self._cells, self._place
            # One beyond the most columns is enough to see that there are too many.
            if place <= MAX_COLUMNS and (self._text or place < len(cells)):
                if place > len(cells):
                    cells.extend([""] * (place - len(cells)))
                cells[place:] = [self._value()]
        elif tag == "row":
            self.done.append((self._row, self._cells))

    def _value(self) -> str:
        kind, text = self._kind, self._text
        try:
            if kind == "s":
                return self._strings[int(text)] if text else ""
            if kind in ("inlineStr", "str"):
                return unescape(text)
            if kind == "b":
                return "true" if text == "1" else "false"
            if kind == "e":
                return ""  # #N/A and the like
            if kind == "d" or not text:
                return text
            moment = self._moments[self._style] if 0 <= self._style < len(self._moments) else None
            return as_moment(text, moment, since_1904=self._since_1904) if moment else as_number(text)
        except (ValueError, IndexError, OverflowError) as error:
            message = f"row {self._row}, column {self._place + 1} cannot be read: {text[:60]!r}"
            raise NotXlsx(message, self._row, str(self._place + 1)) from error


def _parser() -> expat.XMLParserType:
    return expat.ParserCreate()


@lru_cache(maxsize=1000)
def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _refuse_doctype(*_: object) -> None:
    raise NotXlsx("the workbook declares entities, as no spreadsheet does")


@lru_cache(maxsize=2000)
def _letters(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _column(reference: str) -> int:
    """The position of a cell by its reference, as 27 of AB12; −1 without one."""
    return _letters(reference.rstrip("0123456789")[:4])
