"""The values of a workbook's cells as texts."""

import mmap
import re
import tempfile
from array import array
from datetime import datetime, timedelta

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_DATES = frozenset({14, 15, 16, 17, *range(27, 32), 36, *range(50, 55), 57, 58})
_MOMENTS = frozenset({18, 19, 20, 21, 22, 32, 33, 34, 35, 45, 46, 47, 55, 56})
_1904, _1900 = datetime(1904, 1, 1), datetime(1899, 12, 30)  # noqa: DTZ001
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)


def unescape(text: str) -> str:
    """Control characters as Excel writes them: _x000A_."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    if number == 0 or 0xD800 <= number <= 0xDFFF:
        raise ValueError
    return chr(number)


def is_moment(number: int, code: str | None) -> str | None:
    """Whether a number format shows dates ("date"), times ("moment") or neither (None)."""
    if code is None:
        return "date" if number in _DATES else "moment" if number in _MOMENTS else None
    plain = _QUOTED.sub("", code.split(";")[0]).lower()
    if "general" in plain or not any(letter in plain for letter in "ymdhs"):
        return None
    return "moment" if any(letter in plain for letter in "hs") else "date"


def as_moment(text: str, kind: str, *, since_1904: bool) -> str:
    """A serial day as the date or time it shows."""
    days = float(text)
    # Excel counts a 29 February 1900 that never was.
    start = _1904 if since_1904 else _1900 if days >= 60 else _1900 + timedelta(days=1)
    moment = start + timedelta(milliseconds=round(days * 86_400_000))
    if kind == "date" and moment.hour == moment.minute == moment.second == 0:
        return moment.date().isoformat()
    if days < 1:
        return moment.time().isoformat(timespec="seconds")
    return moment.isoformat(timespec="seconds")


def as_number(text: str) -> str:
    """A number as people write it; Excel keeps 0.1 as 0.10000000000000001."""
    if text.isdigit() or not text.isascii():
        return text
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


class SharedStrings:
    """A workbook's texts, which cells name by number. In a file, as there may be millions of them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._ends = array("Q", [0])
        self._map: mmap.mmap | None = None

    def add(self, text: str) -> None:
        """One more text. Raises ValueError for one that no text can contain."""
        self._ends.append(self._ends[-1] + self._file.write(unescape(text).encode()))

    def close(self) -> None:
        """All are there, and may be read."""
        with self._file:
            self._file.flush()
            if self._ends[-1]:
                self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise IndexError(number)
        start, end = self._ends[number], self._ends[number + 1]
        return self._map[start:end].decode() if self._map and end > start else ""
