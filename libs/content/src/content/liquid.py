"""Liquid for mails: every limit set, only harmless tags, and nothing that an odd value could make raise."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from inspect import signature
from typing import Any

from liquid import Environment
from liquid.ast import Node
from liquid.builtin.expressions import logical
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import Filter, FilteredExpression, TernaryFilteredExpression
from liquid.builtin.expressions.path import Path
from liquid.exceptions import LiquidError, LiquidTypeError
from liquid.expression import Expression
from liquid.mode import Mode
from liquid.template import BoundTemplate

from content.errors import ContentError, at
from content.filters import PUBLIC, filters_for

MAX_SOURCE = 256 * 1024
TAGS = frozenset({"content", "output", "illegal", "if", "unless", "case", "for", "break", "continue", "assign"})
TAGS_SILENT = frozenset({"comment", "#", "raw"})
MAX_TAG, MAX_WORDS, MAX_FILTERS = 2000, 150, 20
_OPENING = re.compile(r"\{\{|\{%")
_LONG_BLANK = re.compile(r"\s{100}")
URL_NAMES = frozenset({"unsubscribe_url", "preferences_url", "browser_url"})
CONTACT_NAMES = frozenset({"first_name", "last_name", "email", "language"})

TOKEN = re.compile(
    r"(?P<raw>\{%-?\s*raw\s*-?%\}(?P<literal>.*?)\{%-?\s*endraw\s*-?%\})"
    r"|(?P<comment>\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}|\{%-?\s*#.*?%\})"
    r"|(?P<output>\{\{(?P<l>-?)\s*(?P<expr>.*?)\s*(?P<r>-?)\}\})"
    r"|(?P<tag>\{%-?\s*(?P<name>\w+).*?%\})",
    re.DOTALL,
)


class MailEnvironment(Environment):
    """Bounded in loops, output, memory and depth; no includes, no counters, no captures."""

    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = 1000
    local_namespace_limit = 256 * 1024
    output_stream_limit = 1024 * 1024
    suppress_blank_control_flow_blocks = False
    logical_not_operator = True
    logical_parentheses = True

    def __init__(self, language: str) -> None:
        self._language = language
        super().__init__(tolerance=Mode.STRICT, autoescape=False, strict_filters=True)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002
        """The allowed tags, and our filters in place of the library's."""
        super().setup_tags_and_filters(extra=False)
        allowed = TAGS | TAGS_SILENT
        self.tags = {name: tag for name, tag in self.tags.items() if name in allowed}
        self.filters = dict(filters_for(self._language))


@lru_cache(maxsize=64)
def environment(language: str) -> MailEnvironment:
    """One environment per language."""
    return MailEnvironment(language)


class _Less(logical.LtExpression):
    """`<` that says no, instead of raising, when the two cannot be compared."""

    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        try:
            return super().evaluate(context)
        except LiquidTypeError:
            return False


class _Greater(logical.GtExpression):
    """`>` that says no, instead of raising, when the two cannot be compared."""

    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        try:
            return super().evaluate(context)
        except LiquidTypeError:
            return False


class _Contains(logical.ContainsExpression):
    """`contains` that says no, instead of raising, when the left side has no contents."""

    __slots__ = ()

    def evaluate(self, context: Any) -> object:
        try:
            return super().evaluate(context)
        except (LiquidTypeError, TypeError):
            return False


_TOTAL: dict[type, type] = {
    logical.LtExpression: _Less,
    logical.GtExpression: _Greater,
    logical.ContainsExpression: _Contains,
}


def parse(source: str, language: str) -> BoundTemplate:
    """A template whose comparisons are total. Raises LiquidError."""
    template = environment(language).from_string(source)
    for _, expression in expressions(template.nodes):
        replacement = _TOTAL.get(type(expression))
        if replacement is not None:
            expression.__class__ = replacement
    return template


def nodes_of(nodes: Iterable[Node]) -> Iterator[Node]:
    """Every node, depth first."""
    for node in nodes:
        yield node
        yield from nodes_of(node.children(None))  # type: ignore[arg-type]  # no partials here to look up


def expressions(nodes: Iterable[Node]) -> Iterator[tuple[Node, Expression]]:
    """Every expression of every node, with those nested in filters and paths."""
    for node in nodes_of(nodes):
        pending = list(node.expressions())
        while pending:
            expression = pending.pop()
            yield node, expression
            pending.extend(expression.children())


def check(source: str, language: str, *, variant: str, part: str) -> set[str]:
    """Parse what the author wrote; give back the names it uses. Raises ContentError, with the line."""
    if len(source.encode()) > MAX_SOURCE:
        message = f"The {part} is {len(source.encode()) // 1024} KiB; at most {MAX_SOURCE // 1024} KiB are allowed."
        raise at(variant, part, None, message, "Shorten it.", code="content_too_large")
    _refuse_endless(source, variant, part)
    _only_known_tags(source, variant, part)
    try:
        template = environment(language).from_string(source)
    except LiquidError as error:
        raise syntax_error(error, variant, part) from error
    except RecursionError as error:
        raise at(variant, part, None, "The expressions are nested too deeply.", code="liquid_syntax") from error
    local = {"forloop"}
    for node in nodes_of(template.nodes):
        local.update(str(name) for name in node.template_scope())
        local.update(str(name) for name in node.block_scope())
    used: set[str] = set()
    for _, expression in expressions(template.nodes):
        if isinstance(expression, Path):
            used.add(_checked_name(expression, local, source, variant, part))
        elif isinstance(expression, FilteredExpression | TernaryFilteredExpression):
            for call in expression.filters or ():
                _check_filter(call, source, language, variant, part)
    used.discard("")
    return used


def _refuse_endless(source: str, variant: str, part: str) -> None:
    """Unclosed and monstrous Liquid is refused before a regular expression or a recursive parser meets it."""
    position = 0
    while (opening := _OPENING.search(source, position)) is not None:
        line = line_of(source, opening.start())
        end = source.find("}}" if opening[0] == "{{" else "%}", opening.end())
        if end < 0:
            message = f"Liquid: {opening[0]} is never closed."
            raise at(variant, part, line, message, "Close it.", code="liquid_syntax")
        inside = source[opening.end() : end]
        position = end + 2
        word = inside.strip("- \t\r\n")
        if opening[0] == "{%" and word in ("raw", "comment"):
            closing = re.compile(rf"\{{%-?\s*end{word}\s*-?%\}}").search(source, position)
            if closing is None:
                raise at(variant, part, line, f"Liquid: {word} is never closed.", "Close it.", code="liquid_syntax")
            position = closing.end()
        elif not word.startswith("#") and (
            len(inside) > MAX_TAG
            or inside.count("|") > MAX_FILTERS
            or inside.count("(") > MAX_FILTERS
            or len(inside.split()) > MAX_WORDS
            or _LONG_BLANK.search(inside)
        ):
            message = f"Liquid: {inside[:40].strip()}… is too long."
            mend = f"At most {MAX_TAG} characters, {MAX_WORDS} words and {MAX_FILTERS} filters; split it with assign."
            raise at(variant, part, line, message, mend, code="liquid_too_long")


def _only_known_tags(source: str, variant: str, part: str) -> None:
    for match in TOKEN.finditer(source):
        name = match["name"]
        if name and name not in TAGS | {"elsif", "else", "when"} and not name.startswith("end"):
            line = line_of(source, match.start())
            message = f"The tag {{% {name} %}} is not available in mails."
            mend = "Use if, unless, case, for and assign."
            raise at(variant, part, line, message, mend, code="liquid_tag")


def _check_filter(call: Filter, source: str, language: str, variant: str, part: str) -> None:
    line = line_of(source, source.find(call.token.source) + call.token.start_index)
    if call.name not in PUBLIC:
        message = f"There is no filter named {call.name!r}."
        raise at(variant, part, line, message, f"The filters are: {', '.join(sorted(PUBLIC))}.", code="liquid_filter")
    positional = [None for argument in call.args if not isinstance(argument, KeywordArgument)]
    named = {argument.name: None for argument in call.args if isinstance(argument, KeywordArgument)}
    try:
        signature(filters_for(language)[call.name]).bind(None, *positional, **named)
    except TypeError as error:
        message = f"The filter {call.name!r} cannot be used like this: {error}."
        raise at(variant, part, line, message, code="liquid_filter") from error


def _checked_name(path: Path, local: set[str], source: str, variant: str, part: str) -> str:
    head = path.path[0]
    if isinstance(head, str) and head in local:
        return ""
    if head in CONTACT_NAMES | URL_NAMES and len(path.path) == 1:
        return str(head)
    if head == "attributes" and len(path.path) > 1 and isinstance(path.path[1], str):
        return f"attributes.{path.path[1]}"
    line = line_of(source, source.find(path.token.source) + path.token.start_index)
    known = ", ".join([*sorted(CONTACT_NAMES), "attributes.<name>", *sorted(URL_NAMES)])
    raise at(variant, part, line, f"Nothing is named {path}.", f"Known names are: {known}.", code="unknown_name")


def line_of(source: str, index: int) -> int:
    """The line (from 1) of a character."""
    return source.count("\n", 0, max(index, 0)) + 1


def syntax_error(error: LiquidError, variant: str, part: str) -> ContentError:
    """The library's error as ours, with its line when it knows one."""
    try:
        context = error.context()
    except ValueError:
        context = None
    message = str(error.message or "The Liquid cannot be read.")
    return at(variant, part, context[0] if context else None, f"Liquid: {message}.", code="liquid_syntax")


def render_engine(template: BoundTemplate, data: Mapping[str, object]) -> str:
    """Fill by the library's own engine. Raises LiquidError at a limit, and where a number is infinite or none."""
    try:
        return str(template.render(**data))
    except (OverflowError, ValueError) as error:
        raise LiquidError(str(error), token=None) from error
