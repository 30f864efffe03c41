"""From Liquid to a program of segments, and from a program to a function.

The segment program and the engine start from the same source and share the filters, so that they say the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape as html_escape
from typing import Any

from liquid.ast import BlockNode, ConditionalBlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import logical, primitive
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import FilteredExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression

from content.filters import Filter, filters_for
from content.liquid import parse
from content.model import Arm, Choice, FilterCall, Operand, Pixel, Program, Segment, Slot, Test, Url
from content.values import AFTER_NUMBER, LINK, LINK_END, PIXEL
from content.values import text as as_text

_COMPARISONS: dict[type, Any] = {
    logical.LtExpression: "<",
    logical.GtExpression: ">",
    logical.ContainsExpression: "contains",
    logical.EqExpression: "==",
    logical.NeExpression: "!=",
    logical.LeExpression: "<=",
    logical.GeExpression: ">=",
}
# Names that the engine gives a meaning of its own at the end of a path.
_SPECIAL = frozenset({"size", "first", "last"})


class NotSimple(Exception):
    """The template needs the engine."""


def compile_program(source: str, language: str, *, markup: bool) -> Program:
    """Segments where static text, slots and if/else are all there is; else the source. Raises LiquidError."""
    template = parse(source, language)
    try:
        return Program(markup=markup, segments=tuple(_marks(_nodes(template.nodes, filters_for(language)))))
    except NotSimple:
        return Program(markup=markup, source=source)


def _nodes(nodes: Iterable[Node], filters: Mapping[str, Filter]) -> list[Segment]:
    result: list[Segment] = []
    for node in nodes:
        if isinstance(node, ContentNode):
            result.append(node.text)
        elif isinstance(node, OutputNode):
            slot = _slot(node.expression)
            constant = _constant(slot, filters)
            result.append(slot if constant is None else constant)
        elif isinstance(node, IfNode | UnlessNode):
            result.append(_choice(node, filters))
        elif isinstance(node, BlockNode):
            result.extend(_nodes(node.nodes, filters))
        elif not str(node.token.value).startswith(("comment", "#")):
            raise NotSimple
    return result


def _slot(expression: Expression) -> Slot:
    if type(expression) is not FilteredExpression:
        raise NotSimple
    calls = []
    for call in expression.filters or ():
        positional = tuple(_plain(a.value) for a in call.args if not isinstance(a, KeywordArgument))
        named = {a.name: _plain(a.value) for a in call.args if isinstance(a, KeywordArgument)}
        calls.append(FilterCall(name=call.name, args=positional, named=named))
    return Slot(k="slot", of=_plain(expression.left), filters=tuple(calls))


def _operand(expression: Expression) -> Operand:
    if isinstance(expression, Path):
        if not all(isinstance(step, str) for step in expression.path) or _SPECIAL & set(expression.path[1:]):
            raise NotSimple
        return Operand(path=tuple(str(step) for step in expression.path))
    if isinstance(expression, primitive.Nil):
        return Operand()
    if isinstance(expression, primitive.Empty | primitive.Blank):
        return Operand(word="blank" if isinstance(expression, primitive.Blank) else "empty")
    if isinstance(expression, primitive.Literal) and isinstance(expression.value, str | int | float | bool):
        return Operand(value=str(expression.value) if isinstance(expression.value, str) else expression.value)
    raise NotSimple


def _constant(slot: Slot, filters: Mapping[str, Filter]) -> str | None:
    """The text of a slot in which nothing is the recipient's; but "now" is different each time."""
    operands = [slot.of, *(o for call in slot.filters for o in (*call.args, *call.named.values()))]
    if any(operand.path is not None for operand in operands) or slot.of.value in ("now", "today"):
        return None
    value: object = slot.of.value
    for call in slot.filters:
        named = {name: operand.value for name, operand in call.named.items()}
        value = filters[call.name](value, *[operand.value for operand in call.args], **named)
    return as_text(value)


def _plain(expression: Expression) -> Operand:
    """An operand that is a value; blank and empty mean something only beside a comparison."""
    operand = _operand(expression)
    if operand.word:
        raise NotSimple
    return operand


def _choice(node: IfNode | UnlessNode, filters: Mapping[str, Filter]) -> Choice:
    first = _test(node.condition)
    if isinstance(node, UnlessNode):
        first = Test(op="not", tests=(first,))
    arms = [Arm(test=first, body=_body(node.consequence, filters))]
    for alternative in node.alternatives:
        if not isinstance(alternative, ConditionalBlockNode):
            raise NotSimple
        arms.append(Arm(test=_test(alternative.expression), body=_body(alternative.block, filters)))
    if node.default:
        arms.append(Arm(body=_body(node.default, filters)))
    return Choice(k="choice", arms=tuple(arms))


def _body(block: BlockNode, filters: Mapping[str, Filter]) -> tuple[Segment, ...]:
    return tuple(_marks(_nodes(block.nodes, filters)))


def _test(expression: Expression) -> Test:
    if isinstance(expression, logical.BooleanExpression):
        return _test(expression.expression)
    if isinstance(expression, logical.LogicalAndExpression):
        return Test(op="and", tests=(_test(expression.left), _test(expression.right)))
    if isinstance(expression, logical.LogicalOrExpression):
        return Test(op="or", tests=(_test(expression.left), _test(expression.right)))
    if isinstance(expression, logical.LogicalNotExpression):
        return Test(op="not", tests=(_test(expression.right),))
    for kind, operator in _COMPARISONS.items():
        if isinstance(expression, kind):
            left, right = expression.children()
            read = _plain if operator == "contains" else _operand
            return Test(op=operator, a=read(left), b=read(right))
    return Test(op="true", a=_plain(expression))


def _marks(segments: Sequence[Segment]) -> list[Segment]:
    """Static text cut at the marks: links and the pixel become segments of their own."""
    result: list[Segment] = []
    link: list[Segment] | None = None
    number: int | None = None
    for segment in segments:
        if not isinstance(segment, str):
            (result if link is None else link).append(segment)
            continue
        rest = segment
        while rest:
            if link is None:
                static, mark, rest = _cut(rest, LINK + PIXEL + AFTER_NUMBER + LINK_END)
                _add(result, static)
                if mark == PIXEL:
                    result.append(Pixel(k="pixel"))
                elif mark == LINK:
                    digits, mark, rest = _cut(rest, AFTER_NUMBER)
                    number, link = int(digits) if digits else None, []
                elif mark:
                    raise NotSimple
            else:
                static, mark, rest = _cut(rest, LINK_END + LINK + PIXEL)
                _add(link, static)
                if mark == LINK_END:
                    result.append(Url(k="url", number=number, body=tuple(link)))
                    link = None
                elif mark:
                    raise NotSimple
    if link is not None:
        raise NotSimple
    return result


def _cut(text: str, marks: str) -> tuple[str, str, str]:
    for index, character in enumerate(text) if not text.isascii() else ():
        if character in marks:
            return text[:index], character, text[index + 1 :]
    return text, "", ""


def _add(segments: list[Segment], static: str) -> None:
    if not static:
        return
    if segments and isinstance(segments[-1], str):
        segments[-1] += static
    else:
        segments.append(static)


class Scope:
    """What one filling of a program sees."""

    __slots__ = ("data", "hidden_url", "link", "pixel_url")

    def __init__(
        self,
        data: Mapping[str, object],
        link: Callable[[int, str], str] | None = None,
        pixel_url: str | None = None,
        hidden_url: str | None = None,
    ) -> None:
        self.data = data
        self.link = link
        self.pixel_url = pixel_url
        self.hidden_url = hidden_url


_SCHEMES = ("https://", "http://", "mailto:")
_STATIC_SCHEMES = ("tel:", "sms:", "cid:", "data:image/")


def fill_url(scope: Scope, number: int | None, url: str, *, filled: bool) -> str:
    """The URL when its scheme is safe, else `#`; a numbered link goes through the recipient's link function.

    `filled`: values of the recipient are in it, so that only http, https and mailto may pass.
    """
    url = url.strip()
    lowered = url[:12].lower()
    if not lowered.startswith(_SCHEMES):
        return url if not filled and lowered.startswith(_STATIC_SCHEMES) else "#"
    if number is not None and scope.link is not None and not lowered.startswith("mailto:"):
        return scope.link(number, url)
    return url


def tracking_markup(scope: Scope) -> str:
    """What stands at the end of the body: the open-tracking image, and the link that no person sees or reaches."""
    made = ""
    if scope.pixel_url:
        style = "display:block;border:0;width:1px;height:1px"
        made = f'<img src="{html_escape(scope.pixel_url)}" width="1" height="1" alt="" style="{style}">'
    if scope.hidden_url:
        style = "display:none;mso-hide:all"
        made += f'<a href="{html_escape(scope.hidden_url)}" style="{style}" tabindex="-1" aria-hidden="true"></a>'
    return made


def has_value(segments: Iterable[Segment]) -> bool:
    """Whether anything of the recipient goes into the segments."""
    return any(not isinstance(segment, str) for segment in segments)
