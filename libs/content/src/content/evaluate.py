"""A segment program as one fast function: nothing here raises, whatever a recipient's fields hold."""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape as html_escape
from typing import Any

from liquid.exceptions import LiquidError

from content.filters import ESCAPES, Filter, filters_for
from content.liquid import parse, render_engine
from content.model import Choice, Operand, Pixel, Program, Segment, Slot, Test, Url
from content.program import Scope, fill_url, has_value, tracking_markup
from content.values import AFTER_NUMBER, LINK, LINK_END, PIXEL
from content.values import text as as_text

Piece = Callable[[Scope], str]
Fill = Callable[[Scope], str]
_URL_NAMES = ("unsubscribe_url", "preferences_url", "browser_url")
_MARKED_LINK = re.compile(f"{LINK}(\\d*){AFTER_NUMBER}([^{LINK_END}]*){LINK_END}")


def prepare(program: Program, language: str) -> Fill:
    """The program as a function of a scope."""
    if program.source is not None:
        return _engine(program.source, language, program.markup)
    return _sequence(program.segments, filters_for(language), program.markup)


def prepare_encoded(program: Program, language: str, encode: Callable[[str], bytes]) -> Callable[[Scope], bytes]:
    """The same as bytes in an encoding that can be joined piece by piece: static text is encoded once."""
    if program.source is not None:
        whole = prepare(program, language)
        return lambda scope: encode(whole(scope))
    filters, markup = filters_for(language), program.markup
    pieces: list[bytes | Piece] = [
        encode(segment) if isinstance(segment, str) else _piece(segment, filters, markup)
        for segment in program.segments
    ]
    join = b"".join
    return lambda scope: join([p if p.__class__ is bytes else encode(p(scope)) for p in pieces])  # type: ignore[operator]


def _sequence(segments: Sequence[Segment], filters: Mapping[str, Filter], markup: bool) -> Fill:
    pieces: list[str | Piece] = [
        segment if isinstance(segment, str) else _piece(segment, filters, markup) for segment in segments
    ]
    if all(isinstance(piece, str) for piece in pieces):
        whole = "".join(map(str, pieces))
        return lambda _: whole
    join = "".join
    return lambda scope: join([p if p.__class__ is str else p(scope) for p in pieces])  # type: ignore[operator]


def _piece(segment: Slot | Choice | Url | Pixel, filters: Mapping[str, Filter], markup: bool) -> Piece:
    if isinstance(segment, Slot):
        value = _value(segment, filters)
        if segment.filters and segment.filters[-1].name in ESCAPES:
            return value
        return lambda scope: as_text(value(scope))
    if isinstance(segment, Url):
        return _url(segment, filters, markup)
    if isinstance(segment, Pixel):
        return tracking_markup
    arms = [(_holds(arm.test) if arm.test else None, _sequence(arm.body, filters, markup)) for arm in segment.arms]

    def choose(scope: Scope) -> str:
        for holds, body in arms:
            if holds is None or holds(scope):
                return body(scope)
        return ""

    return choose


def _url(segment: Url, filters: Mapping[str, Filter], markup: bool) -> Piece:
    body, number, filled = _sequence(segment.body, filters, markup), segment.number, has_value(segment.body)
    escape = html_escape if markup else str
    if filled:
        return lambda scope: escape(fill_url(scope, number, body(scope), filled=True))
    fixed = fill_url(Scope({}), None, body(Scope({})), filled=False)
    untracked = escape(fixed)
    if number is None or not fixed.startswith("http"):
        return lambda _: untracked
    return lambda scope: escape(scope.link(number, fixed)) if scope.link else untracked


def _value(slot: Slot, filters: Mapping[str, Filter]) -> Callable[[Scope], Any]:
    value = _read(slot.of)
    for call in slot.filters:
        value = _filtered(value, filters[call.name], call.args, call.named)
    return value


def _filtered(
    value: Callable[[Scope], Any], call: Filter, args: Sequence[Operand], named: Mapping[str, Operand]
) -> Callable[[Scope], Any]:
    if not args and not named:
        return lambda scope: call(value(scope))
    if all(operand.path is None for operand in (*args, *named.values())):
        fixed = [operand.value for operand in args]
        fixed_named = {name: operand.value for name, operand in named.items()}
        return lambda scope: call(value(scope), *fixed, **fixed_named)
    readers = [_read(operand) for operand in args]
    named_readers = {name: _read(operand) for name, operand in named.items()}
    return lambda scope: call(
        value(scope), *[read(scope) for read in readers], **{name: read(scope) for name, read in named_readers.items()}
    )


def _read(operand: Operand) -> Callable[[Scope], Any]:
    if operand.path is None:
        literal = operand.value
        return lambda _: literal
    if len(operand.path) == 1:
        only = operand.path[0]
        return lambda scope: scope.data.get(only)
    steps = operand.path

    def walk(scope: Scope) -> Any:
        value: Any = scope.data
        for step in steps:
            # An abstract class is slow to ask; a recipient's fields are dicts.
            if value.__class__ is not dict and not isinstance(value, Mapping):
                return None
            value = value.get(step)
        return value

    return walk


def _holds(test: Test) -> Callable[[Scope], bool]:
    if test.op in ("and", "or", "not"):
        parts = [_holds(part) for part in test.tests]
        if test.op == "not":
            return lambda scope: not parts[0](scope)
        combine = all if test.op == "and" else any
        return lambda scope: combine(part(scope) for part in parts)
    left, right = test.a or Operand(), test.b or Operand()
    read, other = _read(left), _read(right)
    if test.op == "true":
        return lambda scope: _truthy(read(scope))
    if left.word or right.word:
        return _holds_word(test.op, read if right.word else other, left.word or right.word)
    compare = _COMPARE[test.op]
    return lambda scope: compare(read(scope), other(scope))


def _holds_word(operator: str, read: Callable[[Scope], Any], word: str | None) -> Callable[[Scope], bool]:
    """Comparisons with blank and empty."""
    if operator in ("==", "<=", ">="):
        return lambda scope: _is_word(read(scope), word)
    if operator == "!=":
        return lambda scope: not _is_word(read(scope), word)
    return lambda _: False


def _truthy(value: object) -> bool:
    return value is not None and value is not False


def _is_word(value: object, word: str | None) -> bool:
    if isinstance(value, str):
        return not value or (word == "blank" and value.isspace())
    return isinstance(value, list | dict) and not value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    return bool(left == right)


def _less(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right
    return False


def _at_most(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left <= right
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left <= right
    if left is None or right is None:
        return False
    return _equal(left, right)


def _contains(left: Any, right: Any) -> bool:
    if not _truthy(left) or not _truthy(right):
        return False
    if isinstance(left, str):
        return str(right) in left
    try:
        return isinstance(left, list | tuple | Mapping) and right in left
    except TypeError:
        return False


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": _at_most,
    ">=": lambda left, right: _at_most(right, left),
    "contains": _contains,
}


def _engine(source: str, language: str, markup: bool) -> Fill:
    template = parse(source, language)

    def fill(scope: Scope) -> str:
        try:
            written = render_engine(template, scope.data)
        except (LiquidError, RecursionError):
            # This recipient's values break a limit. Without them the template was tried when it was compiled.
            written = render_engine(template, {name: scope.data.get(name) for name in _URL_NAMES})
        return finish(written, scope, markup)

    return fill


def finish(written: str, scope: Scope, markup: bool) -> str:
    """Links and the pixel put where the engine left their marks."""

    def link(match: re.Match[str]) -> str:
        url = fill_url(scope, int(match[1]) if match[1] else None, match[2], filled=True)
        return html_escape(url) if markup else url

    written = _MARKED_LINK.sub(link, written)
    return written.replace(PIXEL, tracking_markup(scope))
