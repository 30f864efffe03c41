"""Text that ends up in a mail's header: one line, whatever it came from."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_BREAKS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


def one_line(value: str) -> str:
    """The text, if it has no line break and no control character: those would let it add headers of its own."""
    if _BREAKS.search(value):
        raise ValueError("must be one line: it contains a line break or a control character")
    return value


HeaderText = Annotated[str, StringConstraints(strip_whitespace=False, max_length=998), AfterValidator(one_line)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)]
LanguageTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
