"""Reading the rows of a file by its plan: each one good, or rejected with what is wrong with it.

Column by column, some thousand rows at a time: judging each value of each row by itself costs three times as much.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from common.ids import new_id_text

from contacts.domain import phones, values
from contacts.domain.addresses import Address, Addresses, NotAnAddress
from contacts.domain.import_plan import FIELDS, PHONE_NORMALISED, TAGS, AttributeColumn, Plan
from contacts.domain.tables import Unreadable
from contacts.domain.values import WrongValue

_ROWS_AT_ONCE = 2000
_MOST_TAGS = 50
_TAG_CHARACTERS = 100
_MOST_DIFFERENT_TAGS = 1000
_BETWEEN_TAGS = re.compile(r"[,;|\n]+")
_CONTROL = re.compile(r"[\x00-\x1f]").search


class TooManyTags(Unreadable):
    """The column holds something else than tags: few words that many people share."""


class StagedRow(NamedTuple):
    """A row as the stage keeps it. `id` becomes the contact's, if it is new; a rejected row has none of its own."""

    row: int
    id: str
    address: Address | None
    hash: bytes | None
    code: str | None
    message: str | None
    cells: Sequence[str]


class _Wrong(NamedTuple):
    code: str
    message: str


def _remembering(check: Callable[[str], str]) -> Callable[[str], str | WrongValue]:
    @lru_cache(maxsize=10_000)
    def checked(text: str) -> str | WrongValue:
        try:
            return check(text)
        except WrongValue as error:
            return error

    return checked


class RowReader:
    """Turns rows of the file into rows of the stage. Empty lines count, but are passed over."""

    def __init__(
        self, plan: Plan, import_id: UUID, addresses: Addresses, header_row: int = 1, region: str | None = None
    ) -> None:
        self.plan = plan
        self.rows_read = 0
        self._no_id = import_id.hex
        self._addresses = addresses
        self._row = header_row
        self._region = region
        self._tags_seen: set[str] = set()
        checks = {
            "language": values.language, "country": values.country, "timezone": values.timezone, "stage": values.stage,
        }  # fmt: skip
        self._checked = [
            (plan.fields[name], f"invalid_{name}", _remembering(check))
            for name, check in checks.items()
            if name in plan.fields
        ]
        self._plain = [(plan.fields[name], name) for name in FIELDS[1:] if name in plan.fields and name not in checks]

    def read(self, rows: Iterable[list[str]]) -> Iterator[StagedRow]:
        """Every row that is not empty, with what is wrong with it, if anything."""
        rows = iter(rows)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            yield from self._judge(some)

    def _judge(self, rows: list[list[str]]) -> list[StagedRow]:
        numbers: list[int] = []
        addresses: list[Address] = []
        given: list[list[str]] = []
        staged: list[StagedRow] = []
        email, width, read_address = self.plan.fields["email"], self.plan.width, self._addresses.read
        for number, read in enumerate(rows, self._row + 1):
            if not any(read):
                continue
            row = read
            self.rows_read += 1
            if len(row) != width:
                if len(row) > width and any(row[width:]):
                    message = f"the row has {len(row)} columns, not {width}"
                    staged.append(self._reject(number, row, _Wrong("too_many_columns", message)))
                    continue
                row = (row + [""] * width)[:width]
            try:
                addresses.append(read_address(row[email]))
            except NotAnAddress as error:
                wrong = _Wrong("invalid_email", str(error)) if row[email].strip() else _NO_ADDRESS
                staged.append(self._reject(number, row, wrong))
                continue
            numbers.append(number)
            given.append(row)
        self._row += len(rows)
        cells, wrongs = self._normalise(given) if given else ([], {})
        for place, (number, address) in enumerate(zip(numbers, addresses, strict=True)):
            if place in wrongs:
                # With the hash, so that an erasure finds the row.
                staged.append(self._reject(number, given[place], wrongs[place], address.hash))
            else:
                staged.append(StagedRow(number, new_id_text(), address, address.hash, None, None, cells[place]))
        staged.sort(key=itemgetter(0))
        return staged

    def _reject(self, row: int, cells: list[str], wrong: _Wrong, hash_: bytes | None = None) -> StagedRow:
        return StagedRow(row, self._no_id, None, hash_, wrong.code, wrong.message, cells)

    def _normalise(self, rows: list[list[str]]) -> tuple[list[tuple[str, ...]], dict[int, _Wrong]]:
        """The rows as they are stored, and the first thing wrong with each that has any, by its place."""
        columns: list[Sequence[str]] = list(zip(*rows, strict=True))
        wrongs: dict[int, _Wrong] = {}
        for index, name in self._plain:
            columns[index] = texts = [*map(str.strip, columns[index])]
            _too_long(texts, name, values.NAME_CHARACTERS, wrongs)
        for index, code, check in self._checked:
            texts = [*map(str.strip, columns[index])]
            verdicts = {text: check(text) if text else "" for text in set(texts)}
            right = {text: verdict for text, verdict in verdicts.items() if isinstance(verdict, str)}
            if len(right) < len(verdicts):
                for place, text in enumerate(texts):
                    if text not in right:
                        wrongs.setdefault(place, _Wrong(code, str(verdicts[text])))
            columns[index] = [right.get(text, text) for text in texts]
        if TAGS in self.plan.fields:
            self._split_tags(columns, wrongs)
        if PHONE_NORMALISED in self.plan.fields:
            columns.append(self._called(columns))
        self._check_attributes(columns, wrongs)
        for column in self.plan.attributes:
            if column.learns:
                seen = columns[column.index]
                column.learn({t for n, t in enumerate(seen) if n not in wrongs} - {""} if wrongs else {*seen} - {""})
        return list(zip(*columns, strict=True)), wrongs

    def _check_attributes(self, columns: list[Sequence[str]], wrongs: dict[int, _Wrong]) -> None:
        for column in self.plan.attributes:
            columns[column.index] = texts = [*map(str.strip, columns[column.index])]
            _too_long(texts, column.name, values.TEXT_CHARACTERS, wrongs)
            if column.allowed is not None:
                for place, text in enumerate(texts):
                    if text and text not in column.allowed:
                        wrongs.setdefault(place, _Wrong("invalid_attribute", _not_allowed(column, text)))
            if column.fixed and column.kind not in ("text", None):
                kind = column.kind
                strange = {text for text in set(texts) if text and not values.written_as(kind, text)}
                for place, text in enumerate(texts) if strange else ():
                    if text in strange:
                        message = f"{column.name} is not a {kind}: {text[:60]!r}"
                        wrongs.setdefault(place, _Wrong("invalid_attribute", message))

    def _called(self, columns: list[Sequence[str]]) -> list[str]:
        """How each phone is called from everywhere, if it can be: what nobody can call is kept as it was typed."""
        fields = self.plan.fields
        given = columns[fields["phone"]]
        countries = columns[fields["country"]] if "country" in fields else [""] * len(given)
        return [
            (phones.normalise(text, country or self._region) or "") if text else ""
            for text, country in zip(given, countries, strict=True)
        ]

    def _split_tags(self, columns: list[Sequence[str]], wrongs: dict[int, _Wrong]) -> None:
        index = self.plan.fields[TAGS]
        joined: dict[str, str | _Wrong] = {text: _tags(text) for text in set(columns[index])}
        for place, text in enumerate(columns[index]):
            verdict = joined[text]
            if isinstance(verdict, _Wrong):
                wrongs.setdefault(place, verdict)
            elif place not in wrongs and verdict:
                self._tags_seen.update(verdict.split(","))
                if len(self._tags_seen) > _MOST_DIFFERENT_TAGS:
                    message = f"more than {_MOST_DIFFERENT_TAGS} different tags up to row {self._row}: are they tags?"
                    raise TooManyTags(message, self._row, str(index + 1))
        columns[index] = [one if isinstance(one := joined[text], str) else text for text in columns[index]]


_NO_ADDRESS = _Wrong("missing_email", "the row has no address")


def _too_long(texts: list[str], name: str, most: int, wrongs: dict[int, _Wrong]) -> None:
    if max(map(len, texts)) > most:
        for place, text in enumerate(texts):
            if len(text) > most:
                wrongs.setdefault(place, _Wrong("value_too_long", f"{name} is longer than {most} characters"))


def _not_allowed(column: AttributeColumn, text: str) -> str:
    try:
        values.check_allowed(column.name, column.allowed, text)
    except WrongValue as error:
        return str(error)
    return ""


def _tags(text: str) -> str | _Wrong:
    """Tags as the stage keeps them: once each, with commas between."""
    tags = sorted({tag.strip() for tag in _BETWEEN_TAGS.split(text)} - {""})
    if len(tags) > _MOST_TAGS:
        return _Wrong("invalid_tags", f"the row has {len(tags)} tags, more than {_MOST_TAGS}")
    for tag in tags:
        if len(tag) > _TAG_CHARACTERS or _CONTROL(tag):
            return _Wrong("invalid_tags", f"a tag is longer than {_TAG_CHARACTERS} characters: {tag[:60]!r}")
    return ",".join(tags)
